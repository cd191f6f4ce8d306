/** Colours that people who do not see red and green tell apart (Okabe and Ito), lighter ones on dark. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1d2329; --soft: #5b6670; --paper: #fff; --rule: #d9dee3; --card: #f5f7f9;
  --s1: #0072b2; --s2: #e69f00; --s3: #009e73; --s4: #d55e00; --bad: #b3261e; --good: #1b7a3d; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaee; --soft: #9ba7b2; --paper: #14181c; --rule: #323a42; --card: #1d2329;
    --s1: #56b4e9; --s2: #e6b23c; --s3: #3cc79b; --s4: #f08a4b; --bad: #ff8a80; --good: #7bd88f; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; padding-bottom: .3rem; border-bottom: 1px solid var(--rule); }
p, ul { margin: .4rem 0; }
.soft { color: var(--soft); }
.bad { color: var(--bad); font-weight: 600; }
.good { color: var(--good); font-weight: 600; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; margin: 1.2rem 0; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; padding: .7rem .9rem; }
.card b { display: block; font-size: 1.35rem; line-height: 1.3; }
.card span { color: var(--soft); font-size: .85rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .88rem; }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--rule); vertical-align: top;
  overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } .scroll table { min-width: 40rem; }
th { color: var(--soft); font-weight: 600; }
td.n, th.n { text-align: right; white-space: nowrap; }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, monospace; unicode-bidi: isolate; }
figure { margin: 1rem 0; overflow-x: auto; }
figcaption { font-weight: 600; margin-bottom: .3rem; }
svg { max-width: 100%; height: auto; min-width: 32rem; font: 12px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg .label { fill: var(--soft); }
.s1 { fill: var(--s1); } .s2 { fill: var(--s2); } .s3 { fill: var(--s3); } .s4 { fill: var(--s4); }
.line { fill: none; stroke: var(--s1); stroke-width: 1.5; } .grid { stroke: var(--rule); }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--soft); }
@media print { body { max-width: none; } }
`
