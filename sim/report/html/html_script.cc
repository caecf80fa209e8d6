#include "sim/report/html/html_style.h"

namespace meshstep {

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

// Timelines. Times are nanoseconds from the start of the step; [from, to) is what is shown.
const escaped=s=>s.replace(/[&<>"]/g,c=>'&#'+c.charCodeAt(0)+';');
const units=[[1e9,'s'],[1e6,'ms'],[1e3,'us'],[1,'ns']];
// With digits for steps of `step`, in the unit of `of`.
function time(ns,step,of){const [u,n]=units.find(v=>of>=v[0])||units[3];
return (ns/u).toLocaleString('en-US',{minimumFractionDigits:0,
maximumFractionDigits:Math.max(0,Math.ceil(Math.log10(u/step)-1e-9))})+' '+n}
const long=ns=>time(ns,ns/1000,ns);
function timeline(box){
const d=JSON.parse(box.querySelector('pre').textContent),over=box.parentNode.querySelector('.brush');
const svgs=[...box.querySelectorAll('.lane')],area=box.querySelector('.lanes'),ticks=box.querySelector('.ticks');
const scale=box.querySelector('.scale'),buttons=[...box.querySelectorAll('[data-w]')];
const brush=over.appendChild(document.createElement('i'));
const lanes=d.lanes.map(l=>{const s=[];let at=0;
for(const [layer,batch,pass,flat] of l.g)for(let i=0;i<flat.length;i+=4){at+=flat[i];
s.push([at,at+flat[i+1],flat[i+2],pass,layer,batch,flat[i+3]]);at+=flat[i+1]}
return{s,d:l.d}});
let from=0,to=d.end;
const rect=(x,w,h,c,more)=>'<rect x="'+x+'" y="0" width="'+w+'" height="'+h+'" class="'+c+'"'+more+'/>';
function told(s,kind){return escaped(d.names[s[2]]+', '+d.passes[s[3]]+
(s[4]===''?'':'\n'+(typeof s[4]=='number'?'layer '+s[4]:s[4]))+
(s[5]<0?'':(s[4]===''?'\n':', ')+'micro-batch '+s[5])+'\n'+long(s[1]-s[0])+' from '+time(s[0],(s[1]-s[0])/100,s[0])
+(s[6]?'\n'+long(s[6])+' of it: '+(kind=='use'?'collectives hold compute units':'other transfers use its links'):''))}
function draw(k){
const svg=svgs[k],l=lanes[k],W=Math.max(1,Math.round(svg.clientWidth)),H=svg.clientHeight;
const kind=svg.classList[1],px=W/(to-from),fine=4,n=W*fine,use=new Float64Array(n);let out='',marks='';
// What lies between a and b adds to the columns it covers, times its share.
const add=(a,b,share)=>{const x0=(Math.max(a,from)-from)*px*fine,x1=(Math.min(b,to)-from)*px*fine;
for(let c=Math.floor(x0);c<x1&&c<n;c++)use[c]+=share*(Math.min(x1,c+1)-Math.max(x0,c))};
let free=from,small=0;
const coarse=(a,b)=>{const w=d.end/l.d.length;
for(let c=Math.max(0,Math.floor(a/w));c<l.d.length&&c*w<b;c++){const v=parseInt(l.d[c],36)/35;
if(v)add(Math.max(a,c*w),Math.min(b,(c+1)*w),v)}};
for(const r of d.ranges){if(r[0]>free)coarse(free,Math.min(to,r[0]));free=Math.max(free,r[1])}
if(free<to)coarse(free,to);
let low=0,high=l.s.length;while(low<high){const m=(low+high)>>1;if(l.s[m][1]<=from)low=m+1;else high=m}
for(let i=low;i<l.s.length&&l.s[i][0]<to;i++){const s=l.s[i];
const x=Math.max(0,(s[0]-from)*px),e=Math.min(W,(s[1]-from)*px);
if((s[1]-s[0])*px<3){small++;let a=s[0],b=s[1];for(const r of d.ranges){const u=Math.max(a,r[0]),v=Math.min(b,r[1]);if(u<v)add(u,v,1)}continue}
const c=kind=='use'?d.passes[s[3]]:kind;
out+=rect(x.toFixed(1),Math.max(1,e-x-(e-x>6?1:0)).toFixed(1),H,c,' data-t="'+told(s,kind)+'"');
const letters=Math.floor((e-x-8)/6.4),name=d.names[s[2]];
if(kind=='use'&&letters>=Math.min(name.length,8))marks+='<text x="'+((x+e)/2).toFixed(1)+'" y="'+(H/2+4)+'" text-anchor="middle" class="in '+c+'">'
+escaped(name.length>letters?name.slice(0,letters-1)+'…':name)+'</text>'}
// Many that are about as wide as pixels would beat against them: average over a few, twice.
const mean=(v,r)=>{const sums=new Float64Array(n+1);for(let c=0;c<n;c++)sums[c+1]=sums[c]+v[c];
return v.map((_,c)=>{const a=Math.max(0,c-r),b=Math.min(n,c+r+1);return(sums[b]-sums[a])/(b-a)})};
const shown=small>W/8?mean(mean(use,6),6):use,column=new Float64Array(W);
for(let c=0;c<n;c++)column[c/fine|0]+=shown[c]/fine;
const level=c=>Math.round(12*Math.min(1,column[c]))||(column[c]>.004?1:0);let cells='';
for(let c=0,b=0;c<W;c=b){const v=level(c);let sum=0;
for(b=c;b<W&&level(b)==v;b++)sum+=column[b];
if(v)cells+=rect(c,b-c,H,kind+' l'+v,' data-t="'+escaped(svg.dataset.of)+'\nin use '+Math.round(100*sum/(b-c))+' % of '+long((b-c)/px)+'"')}
svg.setAttribute('viewBox','0 0 '+W+' '+H);svg.innerHTML=cells+out+marks}
function all(){
const span=to-from,raw=span/(svgs[0].clientWidth<500?3:6),ten=10**Math.floor(Math.log10(raw));
const step=Math.max(1,ten*([1,2,5,10].find(f=>f*ten>=raw)));let lines='',texts='';
const left=svgs[0].getBoundingClientRect().left-scale.getBoundingClientRect().left,width=svgs[0].clientWidth;
for(let t=Math.ceil(from/step)*step;t<=to;t+=step){const x=(t-from)/span;
lines+='<i style="left:'+100*x+'%"></i>';
if(x>.04&&x<.96||x==0)texts+='<i style="left:'+(left+x*width)+'px'+(x==0?';transform:none':'')+'">'+time(t,step,to)+'</i>'}
ticks.innerHTML=lines;scale.innerHTML=texts;
brush.style.left=100*from/d.end+'%';brush.style.width=100*span/d.end+'%';
for(const b of buttons){const [u,v]=b.dataset.w.split(' ').map(Number),p=(v-u)/33;
b.classList.toggle('now',Math.abs(from-Math.max(0,u-p))<span/99&&Math.abs(to-Math.min(d.end,v+p))<span/99)}
svgs.forEach((s,k)=>draw(k))}
let asked=false;
function set(a,b){let w=Math.min(d.end,Math.max(50,b-a));a=Math.min(Math.max(0,a),d.end-w);from=a;to=a+w;
if(!asked){asked=true;setTimeout(()=>{asked=false;all()},16)}}
const zoom=(f,at)=>set(at-(at-from)*f,at+(to-at)*f);
for(const b of buttons)b.onclick=()=>{const [u,v]=b.dataset.w.split(' ').map(Number),p=(v-u)/33;set(u-p,v+p)};
for(const b of box.querySelectorAll('[data-z]'))b.onclick=()=>zoom(+b.dataset.z,(from+to)/2);
const when=e=>{const r=svgs[0].getBoundingClientRect();return from+(to-from)*(e.clientX-r.left)/r.width};
area.addEventListener('wheel',e=>{if(!e.ctrlKey)return;e.preventDefault();zoom(e.deltaY>0?1.25:0.8,when(e))},{passive:false});
let held=null;
area.addEventListener('pointerdown',e=>{if(e.target.closest('.lane'))held=[e.clientX,from,to]});
addEventListener('pointermove',e=>{if(!held)return;
const by=(held[0]-e.clientX)/svgs[0].clientWidth*(held[2]-held[1]);set(held[1]+by,held[2]+by)});
addEventListener('pointerup',()=>held=null);addEventListener('pointercancel',()=>held=null);
area.addEventListener('dblclick',e=>zoom(0.5,when(e)));
box.addEventListener('keydown',e=>{const w=to-from,k=e.key;
if(k=='ArrowLeft')set(from-w/4,to-w/4);else if(k=='ArrowRight')set(from+w/4,to+w/4);
else if(k=='+'||k=='=')zoom(0.5,(from+to)/2);else if(k=='-')zoom(2,(from+to)/2);else return;e.preventDefault()});
// In the picture of the whole step: the window goes where it is pointed at.
let drawn=false;
const go=e=>{const r=over.getBoundingClientRect(),t=d.end*(e.clientX-r.left)/r.width,w=Math.min(to-from,d.end/2);set(t-w/2,t+w/2)};
over.parentNode.addEventListener('pointerdown',e=>{drawn=true;go(e)});
over.parentNode.addEventListener('pointermove',e=>{if(drawn)go(e)});
addEventListener('pointerup',()=>drawn=false);
let was=0;new ResizeObserver(()=>{if(svgs[0].clientWidth!=was){was=svgs[0].clientWidth;all()}}).observe(box);
buttons[0].onclick()}
for(const box of document.querySelectorAll('.tl'))if(box.querySelector('.lane'))timeline(box);
)js";
}

}  // namespace meshstep
