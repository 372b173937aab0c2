"""How every contestant is configured and started.

A contestant is a subclass of C:
  name, caps   the scenarios it can do; 'M': more than one child
  files        what must be there; logs: True to capture every child's output to real files
  prep(d, apps, o) -> (argv, env)   writes its configuration into folder d
apps: [{'name', 'argv', 'logdir' or None}]; o: restart, once, kill (seconds)
"""
import json, os, subprocess, tempfile

B = os.path.dirname(os.path.abspath(__file__))
CHILD = B + '/bin/bchild'
PEERS = os.environ.get('BENCH_PEERS', os.path.join(tempfile.gettempdir(), 'bench-peers'))
ENV = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin', 'HOME': '/root', 'LANG': 'C'}


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f:
        f.write(text)
    os.chmod(path, mode)


def say(*argv):
    try:
        out = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
        return out.stdout.decode().strip().split('\n')[0]
    except Exception as e:
        return repr(e)


def debian(package):
    return package + ' ' + say('dpkg-query', '-W', '-f', '${Version}', package)


def logfile(app):
    os.makedirs(app['logdir'], exist_ok=True)
    return app['logdir'] + '/current'


class C:
    name = '?'; caps = ''; gap = 0.02; files = (); logs = False; maxn = 1000
    def version(self): return '?'
    def is_there(self): return all(os.path.exists(f) for f in self.files)
    def prep(self, d, apps, o): raise NotImplementedError
    def ctl(self, d, apps): return None  # one status call


class Bare(C):
    """The least a PID 1 in C can do: the yardstick, not a peer."""
    name = 'bare-floor'; caps = 'ABCDEFIM'; files = (B + '/bin/bare',)
    def version(self): return 'src/bare.c: vfork, epoll, splice'
    def prep(self, d, apps, o):
        lines = [' '.join([logfile(a) if a['logdir'] else '-'] + a['argv']) for a in apps]
        write(d + '/list', '\n'.join(lines) + '\n')
        how = ['-r'] if o.get('restart') else ['-x']
        return [B + '/bin/bare'] + how + ['-k', str(o.get('kill', 10)), d + '/list'], ENV


class BareLog(Bare):
    name = 'bare-floor+log'; caps = 'BCDM'; logs = True


class Nothing(C):
    name = 'no-init'; caps = 'A'; files = (CHILD,)
    def version(self): return 'the child is PID 1 itself'
    def prep(self, d, apps, o): return apps[0]['argv'], ENV


class Forwarder(C):
    caps = 'ABEFI'
    def version(self): return say(self.files[0], '--version')
    def prep(self, d, apps, o): return [self.files[0], '--'] + apps[0]['argv'], ENV


class Tini(Forwarder):
    name = 'tini'; files = ('/usr/bin/tini',)


class DumbInit(Forwarder):
    name = 'dumb-init'; files = ('/usr/bin/dumb-init',)


class Catatonit(Forwarder):
    name = 'catatonit'; files = ('/usr/bin/catatonit',)


class S6(C):
    name = 's6'; caps = 'BCDEHIM'; gap = 1.05
    files = ('/usr/bin/s6-svscan', '/usr/bin/s6-svstat')
    def version(self): return debian('s6')
    def prep(self, d, apps, o):
        for a in apps:
            s = d + '/svc/' + a['name']
            write(s + '/run', '#!' + ' '.join(a['argv']) + '\n', 0o755)
            write(s + '/timeout-kill', str(o.get('kill', 10) * 1000) + '\n')
            if not o.get('restart'): write(s + '/finish', '#!/bin/sh\nexit 125\n', 0o755)
        return ['/usr/bin/s6-svscan', '-c', '4000', d + '/svc'], ENV
    def ctl(self, d, apps): return ['sh', '-c', 'for i in %s/svc/*; do s6-svstat $i; done' % d]


class Runit(C):
    name = 'runit'; caps = 'BCDEHM'; gap = 1.05; files = ('/usr/bin/runsvdir', '/usr/bin/sv')
    def version(self): return debian('runit')
    def prep(self, d, apps, o):
        for a in apps:
            s = d + '/svc/' + a['name']
            write(s + '/run', '#!' + ' '.join(a['argv']) + '\n', 0o755)
            if not o.get('restart'):
                write(s + '/finish', '#!/bin/sh\nexec sv down %s\n' % s, 0o755)
        os.utime(d + '/svc', (1e9, 1e9))  # runsvdir waits a second for a fresh folder
        return ['/usr/bin/runsvdir', d + '/svc'], ENV
    def ctl(self, d, apps): return ['sv', 'status'] + [d + '/svc/' + a['name'] for a in apps]


class Supervisor(C):
    name = 'supervisord'; caps = 'ABCDEHIM'
    files = ('/usr/bin/supervisord', '/usr/bin/python3')
    def version(self): return 'supervisor ' + say('/usr/bin/python3', self.files[0], '--version')
    def prep(self, d, apps, o):
        s = f'''[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={d}/sv.pid
user=root
minfds={1024 if len(apps) <= 150 else 5 * len(apps)}
[unix_http_server]
file={d}/sv.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{d}/sv.sock
'''
        for a in apps:
            again = 'true' if o.get('restart') else 'false'
            s += f'''[program:{a['name']}]
command={' '.join(a['argv'])}
autorestart={again}
stopwaitsecs={o.get('kill', 10)}
redirect_stderr=true
startsecs=0
startretries=1000000
stdout_logfile={logfile(a) if a['logdir'] else 'NONE'}
stdout_logfile_maxbytes=0
'''
        write(d + '/sv.conf', s)
        return ['/usr/bin/python3', '/usr/bin/supervisord', '-n', '-c', d + '/sv.conf'], ENV
    def ctl(self, d, apps):
        return ['/usr/bin/python3', '/usr/bin/supervisorctl', '-c', d + '/sv.conf', 'status']


def ecosystem(d, apps, o, **more):
    """A PM2 file for these apps, as pm2 and rsm-init read it."""
    out = []
    for a in apps:
        x = dict(name=a['name'], script=a['argv'][0], args=a['argv'][1:], interpreter='none',
                 exec_mode='fork', autorestart=bool(o.get('restart')),
                 kill_timeout=int(o.get('kill', 10) * 1000), max_restarts=10000000, **more)
        if a['logdir']:
            x.update(out_file=logfile(a), error_file=a['logdir'] + '/error', merge_logs=True)
        else:
            x.update(out_file='/dev/null', error_file='/dev/null')
        out.append(x)
    write(d + '/eco.json', json.dumps({'apps': out}))
    return d + '/eco.json'


class Pm2(C):
    name = 'pm2'; caps = 'ABCDEHIM'; root = PEERS + '/pm2/node_modules/pm2'
    files = (root, '/usr/bin/node')
    def version(self):
        with open(self.root + '/package.json') as f:
            return 'pm2-runtime ' + json.load(f)['version'] + ', node ' + say('node', '--version')
    def prep(self, d, apps, o):
        eco = ecosystem(d, apps, o, min_uptime=100, pmx=False, vizion=False)
        env = dict(ENV, PM2_HOME=d + '/home', PM2_DISCRETE_MODE='1')
        return ['/usr/bin/node', self.root + '/bin/pm2-runtime', 'start', eco], env
    def ctl(self, d, apps): return ['/usr/bin/node', self.root + '/bin/pm2', 'jlist']


class Pm2Log(Pm2):
    name = 'pm2+log'; caps = 'BCDM'; logs = True


class Dinit(C):
    name = 'dinit'; caps = 'ABCDEHIM'; root = PEERS + '/dinit-src/src'
    files = (root + '/dinit', root + '/dinitctl')
    def version(self): return say(self.files[0], '--version')
    def prep(self, d, apps, o):
        kind = 'depends-on' if o.get('once') else 'waits-for'
        write(d + '/dinit.d/boot', 'type = internal\n' + ''.join(f"{kind} = {a['name']}\n" for a in apps))
        for a in apps:
            s = f"type = process\ncommand = {' '.join(a['argv'])}\n"
            s += f"restart = {'true' if o.get('restart') else 'false'}\nstop-timeout = {o.get('kill', 10)}\n"
            if o.get('restart'):
                s += 'smooth-recovery = true\nrestart-delay = 0\nrestart-limit-interval = 0\n'
            if a['logdir']: s += 'logfile = ' + logfile(a) + '\n'
            write(f"{d}/dinit.d/{a['name']}", s)
        argv = [self.files[0], '--container', '-q', '-d', d + '/dinit.d', '-p', d + '/ctl.sock']
        return argv, ENV
    def ctl(self, d, apps): return [self.files[1], '-p', d + '/ctl.sock', 'list']


class Rsm(C):
    name = 'rsm-init'; caps = 'ABCDEFHIM'; gap = 0.03
    files = (os.environ.get('RSM_INIT', '/nonexistent'),)
    def version(self): return say(self.files[0], '--version')
    def prep(self, d, apps, o):
        # Every kill in D hits a stable run: one that lived longer than `min_uptime`.
        eco = ecosystem(d, apps, o, min_uptime=10)
        return [self.files[0], eco], dict(ENV, RSM_INIT_SOCKET=d + '/ctl.sock')
    def ctl(self, d, apps): return [self.files[0], 'ctl', 'status']


class RsmLog(Rsm):
    name = 'rsm-init+log'; caps = 'BCDM'; logs = True


class RsmCommand(Rsm):
    """As tini is used: `rsm-init -- CMD`, no config."""
    name = 'rsm-init --'; caps = 'ABEFI'
    def prep(self, d, apps, o): return [self.files[0], '--'] + apps[0]['argv'], ENV


ALL = [k() for k in (Bare, Rsm, RsmCommand, Nothing, Tini, DumbInit, Catatonit, Dinit, S6, Runit,
                     Supervisor, Pm2, BareLog, RsmLog, Pm2Log)]


def pick(names, cap):
    """Those named, or all, that are installed and can do `cap`; the floor always."""
    named = [c for c in ALL if not names or c.name in names or c.name.split('+')[0] in names
             or c.name == 'rsm-init --' and 'rsm-init' in names or c.name == 'bare-floor']
    return [c for c in named if c.is_there() and all(x in c.caps for x in cap)]
