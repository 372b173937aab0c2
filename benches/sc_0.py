"""0: physical limits of this machine."""
from lib import *
import re
os.makedirs(SHM, exist_ok=True)
for rep in range(reps(5, 2)):
    for argv in (['forkexec', '300', CHILD, SHM + '/fe'], ['waitrate', '20000'], ['sig', '300']):
        text = subprocess.run([B + '/bin/floor'] + argv, stdout=subprocess.PIPE).stdout.decode()
        for line in text.splitlines():
            m = re.search(r'median_us=([\d.]+)', line)
            if m: record('0', line.split(' median')[0], 'µs', 'bare-floor', rep, float(m.group(1)))
            m = re.findall(r'([\d.]+) us each', line)
            for value, what in zip(m, ('vfork + _exit', 'waitpid of a ready zombie')): record('0', what, 'µs', 'bare-floor', rep, float(value))
done('0', [])
