// What views are made of.
import { el, keyed, setText } from './shared.js';

export const cell = (...content) => el('td', {}, ...content);
export const table = (label, ...names) => {
  const body = el('tbody');
  const all = el('div', { class: 'table' }, el('table', { 'aria-label': label }, el('thead', {}, el('tr', {}, ...names.map(name => el('th', { scope: 'col' }, name)))), body));
  return { all, body };
};
export const section = (title, ...content) => el('section', {}, el('h2', {}, title), ...content);
export const rowOf = (...cells) => { const row = el('tr', {}, ...cells.map(content => cell(content))); return row; };

export function tiles() {
  const all = el('dl', { class: 'tiles' });
  return {
    all,
    show: facts => keyed(all, facts, ([name]) => name, ([name]) => {
      const value = el('dd');
      const tile = el('div', {}, el('dt', {}, name), value);
      tile.update = ([, text]) => setText(value, text);
      return tile;
    }),
  };
}
