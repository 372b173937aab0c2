"""C: exec of PID 1 to N running children, and what it cost PID 1's processes."""
from lib import *
cs = pick(sys.argv[1:], 'CM')
for n, normal, quick in ((10, 11, 3), (100, 7, 2), (1000, 3, 0)):
    for rep in range(reps(normal, quick)):
        for c in cs:
            if c.name.startswith('pm2') and (n == 1000 and rep or rep >= 3): continue
            with Run(c, app('idle', n), restart=True) as r:
                s = r.wait('S', n, 20 + n / 10, 0.02); cpu = r.cpu_ns()
                if not s: note('C', c.name, n, 'not up'); continue
                record('C', 'all %d up' % n, 'ms', c, rep, (max(int(x[1]) for x in s[:n]) - r.t0) / 1e6)
                record('C', 'CPU of all its processes an app, %d apps' % n, 'µs', c, rep, cpu / 1e3 / n)
                pid1 = int((read('/proc/%d/schedstat' % r.pid).split() or [0])[0])
                record('C', 'CPU of PID 1 an app, %d apps' % n, 'µs', c, rep, pid1 / 1e3 / n)
        note('C', n, rep)
done('C', cs)
