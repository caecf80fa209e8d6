"""Opens HTML reports in headless Chromium: no errors, no network, no sideways scrolling on a phone."""

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

# Put into the page under test: tells what went wrong as an attribute of the document.
PROBE = """<script>
addEventListener('load',()=>{const e=document.documentElement;
e.dataset.wide=[...document.querySelectorAll('body *')].filter(n=>!n.closest('.scroll')&&!n.closest('svg')
&&n.getBoundingClientRect().right>innerWidth+1).map(n=>n.tagName+'.'+n.className).join(' ');
e.dataset.scroll=e.scrollWidth>innerWidth?'yes':'no';
const t=[...document.querySelectorAll('[data-t]')].find(n=>n.getBoundingClientRect().width>0);
t.dispatchEvent(new PointerEvent('pointermove',{bubbles:true,clientX:50,clientY:50}));
e.dataset.tip=document.getElementById('tip').style.display+':'+(document.getElementById('tip').textContent===t.dataset.t);
});</script>"""
ERRORS = "<script>onerror=m=>document.documentElement.dataset.error=m</script>"


def chromium(width, *arguments):
    return subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--window-size=%d,2000" % width, *arguments], capture_output=True, text=True, timeout=120)


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
        result = chromium(width, "--dump-dom", "file://" + probed)
        root = re.search(r"<html[^>]*>", result.stdout).group(0)
        assert "data-error" not in root, root
        assert 'data-scroll="no"' in root and 'data-wide=""' in root, root
        assert 'data-tip="block:true"' in root, root
    # A frame of 390 pixels, as on a phone.
    frame = os.path.join(folder, "frame.html")
    with open(frame, "w") as f:
        f.write("<iframe id=f width=390 height=2000 src=probed.html></iframe><script>"
                "f.onload=()=>{const d=f.contentDocument.documentElement.dataset;"
                "document.documentElement.dataset.inner=d.scroll+'|'+d.wide}</script>")
    result = chromium(600, "--allow-file-access-from-files", "--dump-dom", "file://" + frame)
    assert 'data-inner="no|"' in result.stdout, result.stdout[:500]


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
        with open(page) as f:
            assert "<&>" not in f.read(), "names are not escaped"
        result = subprocess.run([PROGRAM, "simulate", scenario, "--html=/nowhere/x.html"],
                                capture_output=True, text=True)
        assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
        assert "step time" in result.stdout


main()
