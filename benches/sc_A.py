"""A: exec of PID 1 to the child's first instruction; the child's end to PID 1's."""
from lib import *
cs = pick(sys.argv[1:], 'A')
SLOW = ('pm2', 'supervisord')
for rep in range(reps(31, 7)):
    for c in cs:
        if c.name in SLOW and rep >= 7: continue
        with Run(c, app('stampexit'), once=True) as r:
            s = r.wait('S', 1, 20)
            if not s: note('A', c.name, 'no start'); continue
            record('A', 'exec to first instruction', 'ms', c, rep, (int(s[0][1]) - r.t0) / 1e6)
            if c.name in SLOW or c.name == 'dinit': continue  # they stay, or take seconds
            x = r.wait('X', 1, 5); w = r.waitexit(12)
            if x and w: record('A', 'end of the child to end of PID 1', 'ms', c, rep, (w[0] - int(x[0][1])) / 1e6)
    note('A', rep)
done('A', cs)
