"""Opens HTML reports in headless Chromium: no errors, no network, no sideways scrolling on a phone."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

PROGRAM, SOURCE = sys.argv[1], sys.argv[2]

PIPELINE = """
name: "pipeline <&> test"
model { preset: "llama-3-8b" }
cluster { preset: "dgx-h100" chips: 64 }
workload { mode: TRAIN global_batch_sequences: 32 sequence_length: 4096 }
plan { data: 2 tensor: 8 pipeline: 4 sequence_parallel: true micro_batch_sequences: 1 }
"""

TORUS = """
name: "torus"
model { preset: "llama-3-8b" }
cluster { preset: "tpu-v5p" slice: "%s" }
workload { mode: TRAIN global_batch_sequences: %d sequence_length: 4096 }
plan { fsdp: %d tensor: 4 sequence_parallel: true recompute: "full" }
"""

MOE = """
name: "experts"
model { preset: "mixtral-8x7b" }
cluster { preset: "dgx-h100" chips: 128 }
workload { mode: TRAIN global_batch_sequences: 64 sequence_length: 4096 }
plan { data: 8 tensor: 4 pipeline: 4 expert: 8 sequence_parallel: true micro_batch_sequences: 1
  zero_stage: 1 schedule: "zb-v" }
"""

DECODE = """
name: "decode"
model { preset: "llama-3-70b" }
cluster { preset: "%s" chips: %d }
workload { mode: DECODE global_batch_sequences: 72 sequence_length: 4096 }
plan { tensor: 8 data: %d }
"""

# Put into the page under test: tells what went wrong as an attribute of the document.
# Of a timeline: what is drawn at first and of the whole step, as the number of kernels narrower than
# three pixels, of kernels, of marks outside their lane, and whether density is drawn.
PROBE = """<script>
addEventListener('load',()=>{const e=document.documentElement;
e.dataset.wide=[...document.querySelectorAll('body *')].filter(n=>!n.closest('.scroll')&&!n.closest('svg')
&&n.getBoundingClientRect().right>innerWidth+1).map(n=>n.tagName+'.'+n.className).join(' ');
e.dataset.scroll=e.scrollWidth>innerWidth?'yes':'no';
const t=[...document.querySelectorAll('[data-t]')].find(n=>n.getBoundingClientRect().width>0);
t.dispatchEvent(new PointerEvent('pointermove',{bubbles:true,clientX:50,clientY:50}));
const drawn=()=>{const r=[...document.querySelectorAll('.tl .tall rect')],k=r.filter(n=>!/^use l/.test(n.className.baseVal));
return k.filter(n=>+n.getAttribute('width')<1.9&&+n.getAttribute('x')>0&&
+n.getAttribute('x')+3<n.parentNode.clientWidth).length+'|'+k.length+'|'+
r.filter(n=>+n.getAttribute('x')<0||+n.getAttribute('x')+ +n.getAttribute('width')>n.parentNode.clientWidth+1).length+'|'+(r.length>k.length)};
const next=f=>setTimeout(f,300);
if(document.querySelector('.tl'))next(()=>{e.dataset.opened=drawn();
[...document.querySelectorAll('[data-w]')].pop().onclick();next(()=>{e.dataset.whole=drawn()})});
e.dataset.tip=document.getElementById('tip').style.display+':'+(document.getElementById('tip').textContent===t.dataset.t);
});</script>"""
ERRORS = "<script>onerror=m=>document.documentElement.dataset.error=m</script>"


def chromium(width, *arguments):
    return subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--window-size=%d,2000" % width, *arguments], capture_output=True, text=True, timeout=120)


def check_timeline(root):
    opened, whole = (re.search('data-%s="([^"]*)"' % what, root).group(1).split("|")
                     for what in ("opened", "whole"))
    # Opens on kernels that can be told apart; of the whole step nothing is drawn that cannot.
    assert opened[0] == "0" and int(opened[1]) >= 3 and opened[2] == "0", root
    assert whole[0] == "0" and whole[2] == "0" and whole[3] == "true", root


def check_page(folder, path):
    with open(path) as f:
        page = f.read()
    assert len(page) < 1e6, len(page)
    assert not re.search(r"(src|href)=\"?(https?:)?//", page), "the page asks the network"
    assert "nan" not in re.findall(r"(?:x|y|width|height|d)=\"([^\"]*)\"", page)
    if not shutil.which("chromium"):
        print("chromium is not installed: pages are not opened")
        return
    probed = os.path.join(folder, "probed.html")
    with open(probed, "w") as f:
        f.write(page.replace("<head>", "<head>" + ERRORS).replace("</body>", PROBE + "</body>"))
    for width in (500, 1400):  # headless Chromium opens no window narrower than 500
        result = chromium(width, "--virtual-time-budget=5000", "--dump-dom", "file://" + probed)
        root = re.search(r"<html[^>]*>", result.stdout).group(0)
        assert "data-error" not in root, root
        assert 'data-scroll="no"' in root and 'data-wide=""' in root, root
        assert 'data-tip="block:true"' in root, root
        if 'class="tl"' in page:
            check_timeline(root)
    # A frame of 390 pixels, as on a phone.
    frame = os.path.join(folder, "frame.html")
    with open(frame, "w") as f:
        f.write("<iframe id=f width=390 height=2000 src=probed.html></iframe><script>"
                "f.onload=()=>{const d=f.contentDocument.documentElement.dataset;"
                "document.documentElement.dataset.inner=d.scroll+'|'+d.wide}</script>")
    result = chromium(600, "--allow-file-access-from-files", "--dump-dom", "file://" + frame)
    assert 'data-inner="no|"' in result.stdout, result.stdout[:500]


def lines_of(page, what):
    """Paths of links as (style, tip, number of lines), of the wide drawing of `what`."""
    drawing = page.split('aria-label="Links of the %s' % what)[1].split("</svg>")[0]
    paths = re.findall(r'<path d="([^"]*)" class="(u\d) link[^"]*" data-t="([^"]*)"', drawing)
    assert paths, drawing[:500]
    return [(style, tip, d.count("M")) for d, style, tip in paths], drawing


def check_topology(folder, program):
    def page_of(text, *arguments, opened=False):
        scenario, path = os.path.join(folder, "s.textproto"), os.path.join(folder, "s.html")
        with open(scenario, "w") as f:
            f.write(text)
        result = subprocess.run([program, "simulate", scenario, *arguments, "--html=" + path],
                                capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        if opened:
            check_page(folder, path)
        with open(path) as f:
            return f.read()

    # Rings of 4 by 4 by 8: a plane of 4 x 4 chips with 4 links and one stub more in every row and
    # column, and a row of 8 chips. The page says of every link what the table says of its kind.
    page = page_of(TORUS % ("4x4x8", 128, 32), opened=True)
    paths, drawing = lines_of(page, "torus")
    of = {d: sum(n for _, tip, n in paths if tip.startswith(d)) for d in "xyz"}
    assert of == {"x": 4 * 5, "y": 4 * 5, "z": 9}, of
    for head in ("x, ring of 4: ", "y, ring of 4: ", "z, ring of 8: "):
        assert head in drawing, head
    for _, tip, _ in paths:
        share = re.search(r"\n([0-9.]+ %) busy", tip).group(1)
        assert re.search("<td[^>]*>%s</td>" % share, page), tip
    # Of less than a cube of 4 x 4 x 4 every dimension is a line, without stubs; long dimensions are shortened to 16 chips.
    paths, _ = lines_of(page_of(TORUS % ("2x2x4", 16, 4)), "torus")
    assert sum(n for _, tip, n in paths if tip.startswith("z")) == 3
    paths, drawing = lines_of(page_of(TORUS % ("4x4x28", 448, 112)), "torus")
    assert sum(n for _, tip, n in paths if tip.startswith("z")) == 17
    assert ' gap"' in drawing
    # 8 chips with a link to their switch and a NIC each, and 8 rails above.
    page = page_of(PIPELINE.replace("chips: 64", "chips: 512").replace("data: 2", "data: 16")
                   .replace("sequences: 32", "sequences: 256"))
    paths, drawing = lines_of(page, "cluster")
    of = {d: sum(n for _, tip, n in paths if tip.startswith(d)) for d in ("node", "nic", "leaf")}
    assert of == {"node": 8, "nic": 8, "leaf": 8}, of
    assert "node of 8 chips  × 64" in drawing and "leaf, 8 rails  × 2" in drawing
    # Classes of links and every link by itself are drawn alike.
    def colours(page):
        counts = {}
        for style, tip, n in lines_of(page, "cluster")[0]:
            key = (style, tip.split()[0], tip.split("\n")[1])
            counts[key] = counts.get(key, 0) + n
        return counts

    small = PIPELINE.replace("chips: 64", "chips: 32").replace("data: 2", "data: 1")
    assert colours(page_of(small)) == colours(page_of(small, "--unfolded"))
    # Experts and a split backward; 72 chips of a rack; one node alone; a full mesh.
    page = page_of(MOE, opened=True)
    assert re.search('class="[^"]*weight-gradients', page) and "gradients of weights" in page
    page = page_of(DECODE % ("gb200-nvl72", 144, 18))
    paths, drawing = lines_of(page, "cluster")
    # Only what is there is explained: nothing has gradients or an optimizer.
    assert "KV cache</span>" in page and "gradients</span>" not in page
    assert sum(n for _, tip, n in paths if tip.startswith("node")) == 72
    paths, drawing = lines_of(page_of(DECODE % ("mi300x-node", 8, 1)), "cluster")
    assert sum(n for _, _, n in paths) == 8 * 7 / 2 and "node of 8 chips" in drawing


DEEP = """
name: "64 stages"
model { preset: "llama-3-405b" }
cluster { preset: "dgx-h100" chips: 512 }
workload { mode: TRAIN global_batch_sequences: 16 sequence_length: 4096 }
plan { tensor: 8 pipeline: 64 sequence_parallel: true micro_batch_sequences: 1 recompute: "full" }
"""


def check_many_stages(folder):
    """Every stage has its lanes, in the whole step and among the kernels."""
    scenario, path = os.path.join(folder, "deep.textproto"), os.path.join(folder, "deep.html")
    with open(scenario, "w") as f:
        f.write(DEEP)
    result = subprocess.run([PROGRAM, "simulate", scenario, "--html=" + path], capture_output=True,
                            text=True)
    assert result.returncode == 0, result.stderr
    check_page(folder, path)
    with open(path) as f:
        page = f.read()
    lanes = re.findall('data-of="stage ([0-9]+): compute"', page)
    assert lanes == [str(stage) for stage in range(64)], lanes
    whole = re.findall('aria-label="stage ([0-9]+): compute [0-9.]+ %', page)
    assert whole == lanes, whole


def check_compared(folder, page, scenarios):
    """One table on top as in the text; each reason once, in words, with its difference."""
    result = subprocess.run([PROGRAM, "compare", *scenarios, "--format=json"], capture_output=True,
                            text=True)
    report = json.loads(result.stdout)
    with open(page) as f:
        text = html.unescape(f.read())
    table = text[text.index("<table"):text.index("</table>")]
    for name in ("step time", "tokens/s per chip", "peak memory"):
        assert ">%s</td>" % name in table, (name, table)
    reasons = [r for c in report["comparisons"] for r in c["reasons"]]
    assert len(reasons) > 3
    for reason in reasons:
        assert text.count("<span>%s</span>" % reason["text"]) == 1, reason


def main():
    with tempfile.TemporaryDirectory() as folder:
        scenario = os.path.join(folder, "pipeline.textproto")
        with open(scenario, "w") as f:
            f.write(PIPELINE)
        page = os.path.join(folder, "page.html")
        for arguments in (["simulate", scenario], ["simulate", "llama3-70b-v5p-1024"],
                          ["compare", scenario, "llama3-70b-h100-512"],
                          ["sensitivity", scenario]):
            result = subprocess.run([PROGRAM] + arguments + ["--html=" + page],
                                    capture_output=True, text=True)
            assert result.returncode == 0, result.stderr
            check_page(folder, page)
            if arguments[0] == "compare":
                check_compared(folder, page, arguments[1:])
            if arguments == ["simulate", scenario]:
                with open(page) as f:
                    text = f.read()
                # Stages side by side, the one that the others wait for by name.
                assert "<h3>Stages</h3>" in text and text.count("is critical: the others wait") == 1
                assert "<td class=\"l\">reserve</td>" in text and "physical bound" in text
        with open(page) as f:
            assert "<&>" not in f.read(), "names are not escaped"
        check_topology(folder, PROGRAM)
        check_many_stages(folder)
        result = subprocess.run([PROGRAM, "simulate", scenario, "--html=/nowhere/x.html"],
                                capture_output=True, text=True)
        assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
        assert "step time" in result.stdout


main()
