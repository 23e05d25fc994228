/** The style sheet of a page. On a phone, charts are narrow and tables of cards are stacked. */
export const STYLE = `
:root { color-scheme: light dark; --paper: #fff; --ink: #222; --soft: #5b6068; --line: #dde0e5;
  --panel: #f4f5f7; --accent: #2f6fab; --own: #e4eef8; }
@media screen and (prefers-color-scheme: dark) {
  :root { --paper: #15171b; --ink: #e4e6ea; --soft: #a3a9b3; --line: #333840; --panel: #1f2228;
    --accent: #6fb0ec; --own: #1d3349; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; color: var(--ink); background: var(--paper);
  font: 16px/1.55 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
main { max-width: 760px; margin: 0 auto; padding: 16px 20px 48px; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 16px 0; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 44px 0 12px; padding-top: 12px;
  border-top: 2px solid var(--line); overflow-wrap: anywhere; }
h3 { font-size: 1.05rem; margin: 28px 0 8px; overflow-wrap: anywhere; }
p, li { overflow-wrap: anywhere; }
a { color: var(--accent); }
nav ol { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 12px 0; padding: 0;
  list-style: none; font-size: .92rem; }
nav a { display: inline-block; padding: 2px 0; overflow-wrap: anywhere; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 10px;
  margin: 12px 0; padding: 0; }
.figures div { background: var(--panel); border-radius: 6px; padding: 10px 12px; }
.figures dt { font-size: .8rem; color: var(--soft); overflow-wrap: anywhere; }
.figures dd { margin: 2px 0 0; font-size: 1.15rem; font-weight: 600; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; }
figure { margin: 18px 0; }
figure h3 { margin: 0 0 4px; font-size: .95rem; }
figure svg { display: block; max-width: 100%; height: auto; }
figcaption { font-size: .8rem; color: var(--soft); overflow-wrap: anywhere; }
.small { display: inline-block; width: calc(50% - 12px); min-width: min(100%, 300px);
  margin: 14px 8px 14px 0; vertical-align: top; }
.narrow { display: none; }
.table { overflow-x: auto; margin: 12px 0 4px; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 10px; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: normal;
  overflow-wrap: anywhere; min-width: 7em; }
th { font-weight: 600; vertical-align: bottom; white-space: normal;
  border-bottom: 2px solid var(--line); }
.words td, .words th { text-align: left; white-space: normal; overflow-wrap: anywhere;
  vertical-align: top; }
.note { margin: 2px 0; font-size: .8rem; color: var(--soft); overflow-wrap: anywhere; }
blockquote { margin: 10px 0; padding: 8px 14px; background: var(--panel);
  border-left: 3px solid var(--accent); white-space: pre-wrap; overflow-wrap: anywhere; }
.chat { display: flow-root; margin: 12px 0; }
.cards td { white-space: normal; } .cards th { max-width: 10em; }
.chat div { width: fit-content; max-width: 85%; margin: 6px 0; padding: 8px 14px;
  background: var(--panel); border-radius: 14px 14px 14px 3px; }
.chat .user { margin-left: auto; background: var(--own); border-radius: 14px 14px 3px 14px; }
.chat dt { font-size: .75rem; color: var(--soft); }
.chat dd { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
pre { background: var(--panel); padding: 12px; border-radius: 6px; font-size: .85rem;
  overflow-x: auto; }
details { margin: 12px 0; }
summary { cursor: pointer; padding: 4px 0; }
@media (max-width: 560px) {
  main { padding: 8px 14px 32px; }
  .wide { display: none; } .narrow { display: block; }
  .small { width: 100%; margin-right: 0; }
  .figures { grid-template-columns: repeat(auto-fill, minmax(130px, 1fr)); gap: 8px; }
  table { font-size: .8rem; } th, td { white-space: normal; padding: 4px 6px; }
  .cards table, .cards tbody, .cards td { display: block; }
  .cards thead { display: none; }
  .cards tr { display: flex; flex-wrap: wrap; gap: 2px 10px; padding: 7px 12px; margin: 6px 0;
    background: var(--panel); border-radius: 6px; }
  .cards td { flex: 0 0 76px; min-width: min-content; padding: 0; border: 0; text-align: left; }
  .cards td:empty { display: none; }
  .cards td::before { content: attr(data-label); display: block; color: var(--soft);
    font-size: .9em; }
  .cards td:first-child { flex-basis: 100%; font-weight: 600; }
  .cards td:first-child::before { content: none; }
}
@media print {
  main { max-width: none; padding: 0; } body { font-size: 11pt; } nav { display: none; }
  .wide { display: block; } .narrow { display: none; }
  details::details-content { display: block; content-visibility: visible; }
  figure, blockquote, tr, .figures div, .chat div { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}`;
