"""One contestant as PID 1 of a fresh PID namespace and a cgroup of its own, and its figures."""
import json, os, shutil, signal, statistics, subprocess, sys, time
from contestants import *

T = time.monotonic_ns
SHM = '/dev/shm/rsmbench.%d' % os.getpid()
QUICK = bool(os.environ.get('QUICK'))
_count = 0


def reps(normal, quick):
    return int(os.environ.get('REPS', quick if QUICK else normal))


def read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ''


def cgroup_root():
    """Where a folder is a cgroup that counts processes: v1's pids, or v2 with pids enabled."""
    if os.path.exists('/sys/fs/cgroup/pids/cgroup.procs'):
        return '/sys/fs/cgroup/pids'
    for root in ('/sys/fs/cgroup', '/sys/fs/cgroup/unified'):
        if 'pids' not in read(root + '/cgroup.controllers').split():
            continue
        if 'pids' not in read(root + '/cgroup.subtree_control').split():
            with open(root + '/cgroup.subtree_control', 'w') as f:
                f.write('+pids')
        return root
    sys.exit('no cgroup with a pids controller: run this as root outside a restricted container')


CG = cgroup_root()


def med(values): return statistics.median(values) if values else None


class Run:
    def __init__(self, c, mkapps, **o):
        global _count
        _count += 1
        self.c = c; self.o = o; self.d = d = '%s/%d' % (SHM, _count)
        os.makedirs(d)
        self.st = d + '/stamps'; self.out = d + '/ns'; open(self.st, 'w').close()
        self.cg = '%s/rsmbench.%d.%d' % (CG, os.getpid(), _count); os.mkdir(self.cg)
        self.apps = mkapps(self)
        for i, a in enumerate(self.apps):
            a['logdir'] = d + '/log%d' % i if c.logs else None
        argv, env = c.prep(d, self.apps, o)
        self.env = env
        os.makedirs(B + '/results/logs', exist_ok=True)
        with open(B + '/results/logs/' + c.name.replace(' ', '_'), 'ab') as err:
            self.p = subprocess.Popen([B + '/bin/nsrun', self.out, self.cg + '/cgroup.procs'] + argv,
                                      env=env, cwd=d, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=err)
        end = time.time() + 10
        while 'E ' not in read(self.out) and time.time() < end: time.sleep(0.0005)
        x = self.ns()
        self.pid = int(x['P'][0]); self.t0 = int(x['E'][0])
    def ns(self): return {l.split()[0]: l.split()[1:] for l in read(self.out).splitlines() if l}
    def stamps(self, k=None):
        return [l.split(' ', 3) for l in read(self.st).splitlines() if not k or l[0] == k]
    def wait(self, k, n, timeout=30, poll=0.001):
        """The first n stamps of kind k, or None."""
        end = time.time() + timeout
        while True:
            over = time.time() > end or self.p.poll() is not None
            s = self.stamps(k)
            if len(s) >= n: return s
            if over: return None
            time.sleep(poll)
    def procs(self):
        out = []
        for p in read(self.cg + '/cgroup.procs').split():
            name = read('/proc/%s/comm' % p).strip()
            if name: out.append((int(p), name))
        return out
    def children(self): return [p for p, c in self.procs() if c == 'bchild']
    def own(self): return [p for p, c in self.procs() if c not in ('bchild', 'nsrun')]
    def tasks(self):
        for p in self.own():
            try:
                for k in os.listdir('/proc/%d/task' % p): yield '/proc/%d/task/%s' % (p, k)
            except OSError: pass
    def cpu_ns(self): return sum(int((read(t + '/schedstat').split() or [0])[0]) for t in self.tasks())
    def rss_kb(self, p):
        for l in read('/proc/%d/smaps_rollup' % p).splitlines():
            if l.startswith('Rss:'): return int(l.split()[1])
        return 0
    def switches(self):
        n = 0
        for t in self.tasks():
            for l in read(t + '/status').splitlines():
                if l.startswith('voluntary'): n += int(l.split()[1])
        return n
    def waitexit(self, timeout=30):
        """(ns, status, …) of PID 1's end, or None."""
        try: self.p.wait(timeout)
        except subprocess.TimeoutExpired: return None
        x = self.ns().get('W')
        return [int(v) for v in x] if x else None
    def close(self):
        if self.p.poll() is None:
            try: os.kill(self.pid, signal.SIGKILL)
            except OSError: pass
            try: self.p.wait(20)
            except subprocess.TimeoutExpired: self.p.kill(); self.p.wait()
        for _ in range(200):
            try: os.rmdir(self.cg); break
            except OSError: time.sleep(0.01)
        shutil.rmtree(self.d, ignore_errors=True)
    def __enter__(self): return self
    def __exit__(self, *a): self.close()


def app(mode, n=1, *extra):
    def mk(r):
        return [dict(name='a%04d' % i, argv=[CHILD, mode, r.st] + [str(e) for e in extra]) for i in range(n)]
    return mk


def record(scenario, metric, unit, c, rep, value):
    """One measured value; the report makes medians and paired ratios of them."""
    name = c if isinstance(c, str) else c.name
    with open(B + '/results/raw.jsonl', 'a') as f:
        f.write(json.dumps([scenario, metric, unit, name, rep, value]) + '\n')


def note(*a): print(time.strftime('%H:%M:%S'), *a, flush=True)


def done(scenario, contestants):
    for c in contestants: record('versions', '', '', c, 0, c.version())
    shutil.rmtree(SHM, ignore_errors=True)
