/** The style of forms, buttons and chats, for pages that have them. */
export const FORM_STYLE = `
[hidden] { display: none !important; }
[role=alert] { color: var(--ink) !important; border-left: 3px solid #c23531; padding: 6px 12px;
  background: var(--panel); white-space: pre-wrap; overflow-wrap: anywhere; }
button, input, textarea, select { font: inherit; color: inherit; border-radius: 6px;
  border: 1px solid var(--line); background: var(--paper); }
button { padding: 6px 14px; cursor: pointer; background: var(--panel); }
button[type=submit] { color: var(--paper); background: var(--accent); border-color: var(--accent); }
button:disabled { opacity: .45; cursor: default; }
textarea { display: block; width: 100%; padding: 8px 12px; resize: vertical; }
.buttons { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 8px 0; }
output { color: var(--soft); font-size: .88rem; font-variant-numeric: tabular-nums; }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 10px 16px;
  align-items: end; }
.fields label { font-size: .88rem; color: var(--soft); }
.fields input, .fields select { display: block; width: 100%; padding: 4px 8px; color: var(--ink); }
.chat div { white-space: pre-wrap; overflow-wrap: anywhere; }
.chat .model:empty::before { content: "…"; }`;
