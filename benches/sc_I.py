"""I: SIGTERM to PID 1 until all is gone; and with a child that ignores it, kill time 2 s."""
from lib import *
cs = pick(sys.argv[1:], 'I')
for n, mode, normal, quick, kill in ((1, 'idle', 15, 3, 10), (100, 'idle', 7, 2, 10), (1000, 'idle', 3, 0, 10), (1, 'ignterm', 3, 1, 2)):
    for rep in range(reps(normal, quick)):
        for c in cs:
            if n > 1 and 'M' not in c.caps: continue
            if mode == 'ignterm' and 'M' not in c.caps: continue
            if c.name == 'pm2' and rep >= 3: continue
            with Run(c, app(mode, n), restart=True, kill=kill) as r:
                if not r.wait('S', n, 20 + n / 12, 0.02): note('I', c.name, n, 'not up'); continue
                time.sleep(1.0 if n < 1000 else 2)
                t = T(); os.kill(r.pid, signal.SIGTERM); w = r.waitexit(25)
                if not w: note('I', c.name, n, mode, 'not within 25 s'); continue
                if mode == 'ignterm': record('I', 'a child that ignores it, beyond its 2 s', 'ms', c, rep, (w[0] - t) / 1e6 - 2000); continue
                record('I', 'stop of %d' % n, 'ms', c, rep, (w[0] - t) / 1e6)
                record('I', 'children that ended by themselves, of %d' % n, 'children', c, rep, len(r.stamps('X')))
    note('I', n, mode)
done('I', cs)
