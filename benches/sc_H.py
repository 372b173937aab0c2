"""H: wall time of one full status call with 10 and 500 apps."""
from lib import *
cs = pick(sys.argv[1:], 'HM')
for rep in range(reps(3, 1)):
    for n, calls in ((10, 10), (500, 5)):
        if QUICK and n == 500: continue
        for c in cs:
            with Run(c, app('idle', n), restart=True) as r:
                if not r.wait('S', n, 60, 0.05): note('H', c.name, n, 'not up'); continue
                time.sleep(2.5)
                argv = c.ctl(r.d, r.apps)
                if c.name == 'pm2': argv = ['nsenter', '-t', str(r.pid), '-p', '-m'] + argv
                for i in range(calls + 1):
                    t = T()
                    try: q = subprocess.run(argv, env=r.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=30)
                    except subprocess.TimeoutExpired: break
                    t = T() - t
                    if q.returncode: note('H', c.name, n, 'status', q.returncode, q.stdout[:80]); break
                    if i: record('H', 'status of %d' % n, 'ms', c, rep, t / 1e6)
            note('H', rep, n, c.name)
done('H', cs)
