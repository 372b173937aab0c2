"""D: SIGKILL of a stable run to the replacement's first instruction, fastest settings."""
from lib import *
cs = pick(sys.argv[1:], 'D'); KILLS = 40
for rep in range(reps(5, 2)):
    for c in cs:
        with Run(c, app('idle', 1), restart=True) as r:
            if not r.wait('S', 1, 20): note('D', c.name, 'no start'); continue
            time.sleep(1.2); end = time.time() + 7
            for _ in range(KILLS):
                k = r.children()
                if time.time() > end or not k: break
                n = len(r.stamps('S')); t = T(); os.kill(k[0], 9)
                s = r.wait('S', n + 1, 15, 0.0003)
                if not s: note('D', c.name, 'not restarted'); break
                record('D', 'kill to first instruction', 'ms', c, rep, (int(s[n][1]) - t) / 1e6)
                time.sleep(c.gap)
    note('D', rep)
done('D', cs)
