"""E: M orphans made by one child; time until all are reaped, and CPU of the supervisor."""
from lib import *
M = int(os.environ.get('M', 20000)); cs = pick(sys.argv[1:], 'E'); hopeless = set()
for rep in range(reps(5, 1)):
    for burst in (1, 1000):
        for c in cs:
            if (c.name, burst) in hopeless: continue
            # What is never reaped must not fill the pid space.
            m = M if c.name not in ('pm2', 'supervisord') else M // 5
            with Run(c, lambda r: app('zombies', 1, m, burst, r.cg + '/pids.current')(r), restart=False) as r:
                if not r.wait('S', 1, 20): continue
                c0 = r.cpu_ns(); z = r.wait('Z', 1, 40, 0.02); cpu = r.cpu_ns() - c0
                if not z: hopeless.add((c.name, burst)); note('E', c.name, burst, 'no end'); continue
                d = dict(x.split('=') for x in z[0][3].split())
                if d['left'] != '0': hopeless.add((c.name, burst))
                how = 'bursts of %d' % burst
                record('E', 'left of %d, %s' % (M, how), 'zombies', c, rep, max(0, int(d['left'])))
                record('E', 'total, ' + how, 'ms', c, rep, int(d['all_ns']) / 1e6)
                record('E', 'tail after the last fork, ' + how, 'ms', c, rep, (int(d['all_ns']) - int(d['fork_ns'])) / 1e6)
                record('E', 'CPU, ' + how, 'ms', c, rep, cpu / 1e6)
    note('E', rep)
done('E', cs)
