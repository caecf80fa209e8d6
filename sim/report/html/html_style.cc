#include "sim/report/html/html_style.h"

namespace meshstep {

std::string_view HtmlStyle() {
  return R"css(
:root{--bg:#fff;--ink:#1a1a1a;--soft:#5b6066;--line:#d5d9de;--card:#f5f7f9;--idle:#e9ecef;
--blue:#0072b2;--sky:#56b4e9;--green:#009e73;--orange:#e69f00;--red:#d55e00;--pink:#cc79a7;--grey:#8a9097;
--onblue:#fff;--use:#33414e;--host:#8a9097;
--u0:#c9cfd6;--u1:#8bd646;--u2:#35b779;--u3:#21918c;--u4:#31688e;--u5:#440154;--chip:#e3e7eb}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--ink:#eceff2;--soft:#a3abb3;--line:#363c42;
--card:#1d2226;--idle:#262c31;--blue:#3a9bd9;--sky:#8accf2;--green:#1fbf93;--orange:#f0b429;--red:#f07c2e;
--pink:#dd97be;--grey:#8a9097;
--onblue:#111;--use:#d3dbe3;--host:#8a9097;
--u0:#414950;--u1:#5a54a8;--u2:#2f86a0;--u3:#22a884;--u4:#7ad151;--u5:#fde725;--chip:#30373d}}
*{box-sizing:border-box}
body{margin:0 auto;padding:16px;max-width:1040px;background:var(--bg);color:var(--ink);
font:15px/1.45 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:24px;margin:8px 0 4px;overflow-wrap:anywhere}h2{font-size:20px;margin:40px 0 4px;overflow-wrap:anywhere}
h3{font-size:16px;margin:28px 0 6px}p{margin:4px 0 10px;color:var(--soft);overflow-wrap:anywhere}
p.say,li{color:var(--ink)}ul{padding-left:20px;margin:6px 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:14px 0}
.card{background:var(--card);border-radius:8px;padding:10px 12px}
.card b{display:block;font-size:21px;font-variant-numeric:tabular-nums}.card span{color:var(--soft);font-size:13px}
.bad b{color:var(--red)}.reasons{display:grid;grid-template-columns:minmax(0,1fr) max-content;gap:2px 14px;margin:8px 0}
.reasons b{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}.reasons svg{grid-column:1/3;margin:0 0 6px}
svg{display:block;width:100%;height:auto;margin:4px 0}
.narrow{display:none}
@media(max-width:900px){.wide text{font-size:13.5px}}
@media(max-width:700px){.wide{display:none}.narrow{display:block}}
.key{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px;color:var(--soft);margin:4px 0}
.key i{display:inline-block;width:12px;height:12px;border-radius:2px;margin-right:6px;vertical-align:-1px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}
th,td{padding:4px 8px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th{color:var(--soft);font-weight:600;white-space:normal;vertical-align:bottom}.l{text-align:left}
td.w{white-space:normal;min-width:16em}
details{margin:6px 0}summary{cursor:pointer;color:var(--soft);font-size:13.5px}
#tip{position:fixed;z-index:9;pointer-events:none;background:var(--ink);color:var(--bg);font-size:13px;
padding:4px 8px;border-radius:5px;max-width:280px;display:none;white-space:pre-line}
text{fill:var(--ink);font-size:12px;font-family:inherit}text.s{fill:var(--soft)}text.m{font-weight:600;paint-order:stroke;stroke:var(--bg);stroke-width:3px;stroke-linejoin:round}
text.on{fill:var(--ink);font-size:11.5px}text.in{fill:#111;font-weight:600}text.in.compute,text.in.backward,text.in.parameters{fill:var(--onblue)}
.axis{stroke:var(--soft);stroke-width:1}.grid{stroke:var(--line);stroke-width:1}
.roof{stroke:var(--ink);stroke-width:1.5;fill:none}.limit{stroke:var(--red);stroke-width:1.5;stroke-dasharray:6 4}
.reserve{fill:var(--red);fill-opacity:.16}.idle{fill:var(--idle)}.frame{fill:none;stroke:var(--line)}
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
path.run{fill:none;pointer-events:none;shape-rendering:crispEdges}.run.h14{stroke-width:14}.run.h6{stroke-width:6}.run.h5{stroke-width:5}.run.h3{stroke-width:3}
.run.use{stroke:var(--use)}.run.communication{stroke:var(--red)}.use{fill:var(--use)}.host{fill:var(--host)}
.l1{opacity:.08}.l2{opacity:.17}.l3{opacity:.25}.l4{opacity:.33}.l5{opacity:.42}.l6{opacity:.50}.l7{opacity:.58}.l8{opacity:.67}.l9{opacity:.75}.l10{opacity:.83}.l11{opacity:.92}
.b-use{background:var(--use)}.b-host{background:var(--host)}
.lanes{display:grid;grid-template-columns:max-content minmax(0,1fr);column-gap:8px;position:relative;align-items:center}
.lanes>span{font-size:12px;line-height:1;color:var(--soft);text-align:right;white-space:nowrap}
.lanes>span:empty{height:0}.lanes svg{margin:1px 0;grid-column:2}.over{cursor:pointer;user-select:none}
.brush,.ticks{position:absolute;grid-column:2/3;inset:0;pointer-events:none}
.brush i{position:absolute;top:-2px;bottom:-2px;border:1.5px solid var(--ink);border-radius:2px;min-width:5px}
.ticks i{position:absolute;top:0;bottom:0;border-left:1px solid var(--ink);opacity:.16}
.ends{display:flex;justify-content:space-between;font-size:12px;color:var(--soft)}
.tl{margin:6px 0;outline-offset:3px}.tl .lane{height:11px;background:var(--idle);touch-action:pan-y;cursor:grab;user-select:none}
.tl .tall{height:22px}.tl .flat{height:4px;margin:.5px 0}.tl .lane rect{shape-rendering:crispEdges}.tl .lane text{font-size:11px;pointer-events:none}
.named .lane{height:11px;margin:2px 0}.tl .named .tall{height:22px}
.many{max-height:760px;overflow-y:auto}.scale{position:relative;height:18px;font-size:12px;color:var(--soft);font-variant-numeric:tabular-nums}
.scale i{position:absolute;font-style:normal;transform:translateX(-50%);white-space:nowrap}
.buttons{display:flex;flex-wrap:wrap;gap:6px;margin:6px 0}.buttons span{margin-left:auto;display:flex;gap:6px}
button{font:13px system-ui,sans-serif;color:var(--ink);background:var(--card);border:1px solid var(--line);border-radius:6px;padding:3px 10px;cursor:pointer}
button.now{border-color:var(--ink);font-weight:600}
@media(max-width:700px){.lanes.named{display:block}.lanes.named>span{display:block;text-align:left;margin-top:5px}.lanes.named .ticks{display:none}}
.cell{shape-rendering:crispEdges}
.link{fill:none;stroke-width:4}.thick{stroke-width:6}.thin{stroke-width:2}.fat{stroke-width:12}.gap{stroke-dasharray:3 3}
.link.u0{stroke:var(--u0)}.link.u1{stroke:var(--u1)}.link.u2{stroke:var(--u2)}
.link.u3{stroke:var(--u3)}.link.u4{stroke:var(--u4)}.link.u5{stroke:var(--u5)}.chip{fill:var(--chip);stroke:var(--soft);stroke-width:.7}
.b-u0{background:var(--u0)}.b-u1{background:var(--u1)}.b-u2{background:var(--u2)}
.b-u3{background:var(--u3)}.b-u4{background:var(--u4)}.b-u5{background:var(--u5)}
.dot{fill-opacity:.75;stroke:var(--bg)}
@media(max-width:700px){.stack th{display:none}.stack tr{display:flex;flex-wrap:wrap;gap:1px 14px;padding:5px 0;border-bottom:1px solid var(--line)}
.stack tr:first-child{display:none}.stack td{border:0;padding:0;white-space:normal;text-align:left}.stack td[data-h]::before{content:attr(data-h) " ";color:var(--soft);font-weight:400}.stack td:first-child{flex-basis:100%;font-weight:600;overflow-wrap:anywhere}}
@media print{body{max-width:none}#tip{display:none!important}}
)css";
}

}  // namespace meshstep
