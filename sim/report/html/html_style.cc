#include "sim/report/html/html_style.h"

namespace meshstep {

std::string_view HtmlStyle() {
  return R"css(
:root{--bg:#fff;--ink:#1a1a1a;--soft:#5b6066;--line:#d5d9de;--card:#f5f7f9;--idle:#e9ecef;
--blue:#0072b2;--sky:#56b4e9;--green:#009e73;--orange:#e69f00;--red:#d55e00;--pink:#cc79a7;--grey:#8a9097;
--u0:#c9cfd6;--u1:#8bd646;--u2:#35b779;--u3:#21918c;--u4:#31688e;--u5:#440154;--chip:#e3e7eb}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--ink:#eceff2;--soft:#a3abb3;--line:#363c42;
--card:#1d2226;--idle:#262c31;--blue:#3a9bd9;--sky:#8accf2;--green:#1fbf93;--orange:#f0b429;--red:#f07c2e;
--pink:#dd97be;--grey:#8a9097;
--u0:#414950;--u1:#5a54a8;--u2:#2f86a0;--u3:#22a884;--u4:#7ad151;--u5:#fde725;--chip:#30373d}}
*{box-sizing:border-box}
body{margin:0 auto;padding:16px;max-width:1040px;background:var(--bg);color:var(--ink);
font:15px/1.45 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:24px;margin:8px 0 4px;overflow-wrap:anywhere}h2{font-size:20px;margin:40px 0 4px;overflow-wrap:anywhere}
h3{font-size:16px;margin:28px 0 6px}p{margin:4px 0 10px;color:var(--soft);overflow-wrap:anywhere}
p.say{color:var(--ink)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:14px 0}
.card{background:var(--card);border-radius:8px;padding:10px 12px}
.card b{display:block;font-size:21px;font-variant-numeric:tabular-nums}.card span{color:var(--soft);font-size:13px}
.bad b{color:var(--red)}
svg{display:block;width:100%;height:auto;margin:4px 0}
.narrow{display:none}
@media(max-width:900px){.wide text{font-size:13.5px}}
@media(max-width:700px){.wide{display:none}.narrow{display:block}}
.key{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px;color:var(--soft);margin:4px 0}
.key i{display:inline-block;width:12px;height:12px;border-radius:2px;margin-right:6px;vertical-align:-1px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}
th,td{padding:4px 8px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th{color:var(--soft);font-weight:600}th:first-child,td:first-child,.l{text-align:left}
td.w{white-space:normal;min-width:16em}
details{margin:6px 0}summary{cursor:pointer;color:var(--soft);font-size:13.5px}
#tip{position:fixed;z-index:9;pointer-events:none;background:var(--ink);color:var(--bg);font-size:13px;
padding:4px 8px;border-radius:5px;max-width:280px;display:none;white-space:pre-line}
text{fill:var(--ink);font-size:12px;font-family:inherit}text.s{fill:var(--soft)}text.m{font-weight:600;paint-order:stroke;stroke:var(--bg);stroke-width:3px;stroke-linejoin:round}
text.on{fill:var(--ink);font-size:11.5px}text.in{fill:#fff;font-weight:600}
.axis{stroke:var(--soft);stroke-width:1}.grid{stroke:var(--line);stroke-width:1}
.roof{stroke:var(--ink);stroke-width:1.5;fill:none}.limit{stroke:var(--red);stroke-width:1.5;stroke-dasharray:6 4}
.idle{fill:var(--idle)}.frame{fill:none;stroke:var(--line)}
.compute,.backward,.parameters{fill:var(--blue)}.forward,.gradients,.kv-cache{fill:var(--sky)}
.optimizer,.update{fill:var(--green)}.bubble,.activations,.weight-gradients{fill:var(--orange)}
.logits{fill:var(--red)}.buffers{fill:var(--grey)}.unsharded{fill:var(--ink)}
.recompute,.workspace{fill:var(--pink)}.exposed,.communication,.slower{fill:var(--red)}
.other{fill:var(--grey)}.faster{fill:var(--green)}
.b-compute,.b-backward,.b-parameters{background:var(--blue)}.b-forward,.b-gradients,.b-kv-cache{background:var(--sky)}
.b-optimizer,.b-update{background:var(--green)}.b-bubble,.b-activations,.b-weight-gradients{background:var(--orange)}
.b-logits{background:var(--red)}.b-buffers{background:var(--grey)}.b-unsharded{background:var(--ink)}
.b-recompute,.b-workspace{background:var(--pink)}.b-exposed,.b-communication{background:var(--red)}
.b-other{background:var(--grey)}.b-idle{background:var(--idle);border:1px solid var(--line)}
.u0{fill:var(--u0)}.u1{fill:var(--u1)}.u2{fill:var(--u2)}.u3{fill:var(--u3)}.u4{fill:var(--u4)}.u5{fill:var(--u5)}
path.run{fill:none}.run.h24{stroke-width:24}.run.h14{stroke-width:14}.run.h5{stroke-width:5}
.run.forward{stroke:var(--sky)}.run.backward{stroke:var(--blue)}.run.weight-gradients{stroke:var(--orange)}
.run.recompute{stroke:var(--pink)}.run.update{stroke:var(--green)}.run.communication{stroke:var(--red)}
.cell{shape-rendering:crispEdges}
.link{fill:none;stroke-width:4}.thick{stroke-width:6}.thin{stroke-width:2}.fat{stroke-width:12}.gap{stroke-dasharray:3 3}
.link.u0{stroke:var(--u0)}.link.u1{stroke:var(--u1)}.link.u2{stroke:var(--u2)}
.link.u3{stroke:var(--u3)}.link.u4{stroke:var(--u4)}.link.u5{stroke:var(--u5)}.chip{fill:var(--chip);stroke:var(--soft);stroke-width:.7}
.b-u0{background:var(--u0)}.b-u1{background:var(--u1)}.b-u2{background:var(--u2)}
.b-u3{background:var(--u3)}.b-u4{background:var(--u4)}.b-u5{background:var(--u5)}
.dot{fill-opacity:.75;stroke:var(--bg)}
@media print{body{max-width:none}#tip{display:none!important}}
)css";
}

std::string_view HtmlScript() {
  return R"js(
const tip=document.getElementById('tip');
function show(e){const t=e.target.closest&&e.target.closest('[data-t]');
if(!t){tip.style.display='none';return}
tip.textContent=t.dataset.t;tip.style.display='block';
const w=tip.offsetWidth,h=tip.offsetHeight;
tip.style.left=Math.max(4,Math.min(e.clientX+12,innerWidth-w-4))+'px';
tip.style.top=(e.clientY+h+24>innerHeight?e.clientY-h-8:e.clientY+16)+'px'}
document.addEventListener('pointermove',show);document.addEventListener('pointerdown',show);
document.addEventListener('scroll',()=>tip.style.display='none',{passive:true});
)js";
}

}  // namespace meshstep
