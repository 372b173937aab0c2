"""B: memory, wake-ups and system calls of an idle supervisor with N idle children."""
from lib import *
cs = pick(sys.argv[1:], 'B')
for rep in range(reps(3, 1)):
    for n in (1, 10, 100) if QUICK else (1, 10, 100, 1000):
        if n == 1000 and rep: continue
        for c in cs:
            if n > 1 and 'M' not in c.caps: continue
            with Run(c, app('idle', n), restart=True) as r:
                if not r.wait('S', n, 30 if n < 1000 else 90, 0.05): note('B', c.name, n, 'not up'); continue
                time.sleep(2)
                record('B', 'RSS of PID 1 with %d' % n, 'kB', c, rep, r.rss_kb(r.pid))
                record('B', 'RSS of all its processes with %d' % n, 'kB', c, rep, sum(r.rss_kb(p) for p in r.own()))
                if n == 10:
                    v, t = r.switches(), T()
                    time.sleep(4)
                    record('B', 'wake-ups with 10', '1/s', c, rep, (r.switches() - v) * 1e9 / (T() - t))
                    log = r.d + '/strace'
                    q = subprocess.Popen(['strace', '-f', '-q', '-o', log] + sum([['-p', str(p)] for p in r.own()], []), stderr=subprocess.DEVNULL)
                    time.sleep(4); q.send_signal(2); q.wait()
                    # What it was asleep in is printed as well: one line for each task.
                    calls = [l for l in read(log).splitlines() if 'detached' not in l and 'restart_syscall' not in l]
                    record('B', 'system calls with 10', '1/s', c, rep, max(0, len(calls) - len(list(r.tasks()))) / 4)
            note('B', n, c.name)
done('B', cs)
