"""F: SIGUSR1 to PID 1 until the child's sigwaitinfo returns."""
from lib import *
cs = pick(sys.argv[1:], 'F')
for rep in range(reps(9, 3)):
    for c in cs:
        with Run(c, app('sig'), restart=False) as r:
            if not r.wait('S', 1, 20): continue
            time.sleep(0.1)
            for _ in range(100):
                n = len(r.stamps('G')); t = T(); os.kill(r.pid, signal.SIGUSR1); s = r.wait('G', n + 1, 2, 0.0003)
                if not s: note('F', c.name, 'lost'); break
                record('F', 'signal to handler', 'µs', c, rep, (int(s[n][1]) - t) / 1e3); time.sleep(0.001)
    note('F', rep)
done('F', cs)
