// The other half of packing.py.
(() => {
'use strict';

/** Unpack the run, then start the scripts that came with it; the page's policy has their hashes. */
async function load() {
  const packed = new Blob([decoded(document.getElementById('data').textContent.trim())]);
  const stream = packed.stream().pipeThrough(new DecompressionStream('gzip'));
  const [scripts, shapes, body] = JSON.parse(await new Response(stream).text());
  window.llmopsRun = unfolded(shapes, body);
  for (const textContent of scripts) document.head.append(Object.assign(document.createElement('script'), {textContent}));
}

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~';

/** Base 85, five digits for four bytes. */
function decoded(text) {
  const value = new Uint8Array(128);
  for (let index = 0; index < DIGITS.length; index += 1) value[DIGITS.charCodeAt(index)] = index;
  const missing = (5 - (text.length % 5)) % 5;
  const padded = text + '~'.repeat(missing);
  const bytes = new DataView(new ArrayBuffer((padded.length / 5) * 4));
  for (let at = 0; at < padded.length; at += 5) {
    let number = 0;
    for (let digit = at; digit < at + 5; digit += 1) number = number * 85 + value[padded.charCodeAt(digit)];
    bytes.setUint32((at / 5) * 4, number);
  }
  return bytes.buffer.slice(0, bytes.byteLength - missing);
}

const LONG = 48;

/** Objects from [shape, values…], lists from [-1, items…], a text said before from [-2, how many ago]. */
function unfolded(shapes, body) {
  const texts = [];
  const unfold = (value) => {
    if (typeof value === 'string') {
      if (value.length >= LONG) texts.push(value);
      return value;
    }
    if (!Array.isArray(value)) return value;
    const [mark, ...rest] = value;
    if (mark === -2) return texts[texts.length - rest[0]];
    if (mark === -1) return rest.map(unfold);
    const made = Object.create(null); // no key means anything here, not even __proto__
    shapes[mark].forEach((key, index) => {
      made[key] = unfold(rest[index]);
    });
    return made;
  };
  return unfold(body);
}

load().catch((error) => {
  document.getElementById('detail').replaceChildren(`This browser cannot show the cases: ${error.message}`);
  throw error;
});
})();
