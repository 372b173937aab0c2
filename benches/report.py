"""results/raw.jsonl -> results/report.md: medians, and medians of paired ratios.

A ratio is taken between two contestants' medians of the same round, which ran next to each
other, and the median of those ratios is shown with the number of rounds: a noisy machine
shifts both sides of a pair.
"""
import collections, json, os, statistics, time
from contestants import ALL, B

TITLES = {
    '0': 'Limits of the machine', 'A': 'Start and exit', 'B': 'Idle memory and wake-ups',
    'C': 'Boot of N apps: exec to the last child\'s first instruction', 'D': 'SIGKILL of a stable run to the replacement\'s first instruction',
    'E': 'Orphans', 'F': 'Signal to handler', 'H': 'One status call', 'I': 'Stop: SIGTERM to the end',
}
BASES = ('bare-floor', 'bare-floor+log', 'tini', 'dinit')
rows = [json.loads(l) for l in open(B + '/results/raw.jsonl')]
versions = {r[3]: r[5] for r in rows if r[0] == 'versions'}
order = [c.name for c in ALL]
data = collections.OrderedDict()
for scenario, metric, unit, name, rep, value in rows:
    if scenario == 'versions': continue
    rounds = data.setdefault((scenario, metric, unit), {}).setdefault(name, collections.OrderedDict())
    rounds.setdefault(rep, []).append(value)


def shown(x):
    return '%.0f' % x if abs(x) >= 100 else '%.1f' % x if abs(x) >= 10 else '%.2f' % x


def ratio(ours, base):
    pairs = [statistics.median(ours[k]) / statistics.median(base[k]) for k in ours if k in base and statistics.median(base[k])]
    return '%.2f (%d)' % (statistics.median(pairs), len(pairs)) if pairs else ''


out = ['# Measured beside the peers', '',
       'On %s, Linux %s, %d CPUs, load %s at the end. Gaps below 2× in one run prove little: read the paired ratios.' % (
           time.strftime('%Y-%m-%d'), os.uname().release, os.cpu_count(), ' '.join('%.1f' % x for x in os.getloadavg())), '',
       '| contestant | version |', '|---|---|']
out += ['| %s | %s |' % (n, versions[n]) for n in order if n in versions] + ['']
last = None
for (scenario, metric, unit), by in sorted(data.items(), key=lambda i: i[0][0]):
    if scenario != last: out += ['## %s. %s' % (scenario, TITLES[scenario]), '']
    last = scenario
    bases = [b for b in BASES if b in by]
    out += ['**%s, %s**' % (metric, unit), '',
            '| | median | p90 | least | most | n |' + ''.join(' × %s (rounds) |' % b for b in bases),
            '|---|' + '---:|' * (5 + len(bases))]
    for name in sorted(by, key=lambda n: order.index(n) if n in order else 99):
        values = sorted(v for r in by[name].values() for v in r)
        p90 = values[min(len(values) - 1, int(len(values) * .9))]
        out.append('| %s | %s | %s | %s | %s | %d |' % (name, shown(statistics.median(values)), shown(p90), shown(values[0]), shown(values[-1]), len(values)) +
                   ''.join(' %s |' % ratio(by[name], by[b]) for b in bases))
    out.append('')
with open(B + '/results/report.md', 'w') as f: f.write('\n'.join(out))
print('wrote', B + '/results/report.md')
