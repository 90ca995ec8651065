// The other half of packing.py.

/** Unpack the run, then start the scripts that came with it; the page's policy has their hashes. */
function load() {
  const streams = document.getElementById('data').textContent.trim().split(' ');
  const [scripts, data, texts] = streams.map((stream) => new TextDecoder().decode(bunzip2(decoded(stream))));
  const [shapes, structure, numbers] = JSON.parse(data);
  window.llmopsRun = unfolded(shapes, structure, new Map(Object.entries(numbers)), longhand(texts));
  for (const textContent of JSON.parse(scripts)) {
    document.head.append(Object.assign(document.createElement('script'), {textContent}));
  }
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
  return new Uint8Array(bytes.buffer, 0, bytes.byteLength - missing);
}

const SEPARATOR = '\x1e';
/** The texts, with the words for the signs that stand for them. */
function longhand(stream) {
  const [words, ...texts] = stream.split(SEPARATOR);
  const meant = words.split(' ');
  return texts.map((text) => text.replace(/[\ue000-\uf8ff]/g, (sign) => meant[sign.charCodeAt(0) - 0xe000]));
}

const QUOTE = /\x1f(\d+)\x1f/g;

/** Objects from [shape, values…], lists from [-1, items…]; 0 is the next number, 1 the next text, 2 one said before. */
function unfolded(shapes, structure, numbers, texts) {
  const recent = [];
  const next = new Map();
  let said = 0;
  const numberOf = (name) => {
    const at = next.get(name) || 0;
    next.set(name, at + 1);
    return numbers.get(name)[at];
  };
  const textOf = (mark) => {
    const text = mark === 2
      ? recent.splice(recent.length - 1 - numberOf('ago'), 1)[0]
      : texts[said++].replace(QUOTE, (_, ago) => recent[recent.length - 1 - Number(ago)]);
    recent.push(text);
    return text;
  };
  const unfold = (value, parent, key) => {
    if (typeof value === 'number') return value ? textOf(value) : numberOf(`${parent}.${key}`);
    if (!Array.isArray(value)) return value;
    const [mark, ...rest] = value;
    if (mark === -1) return rest.map((one) => unfold(one, parent, key));
    const made = Object.create(null); // no key means anything here, not even __proto__
    shapes[mark].forEach((name, index) => {
      made[name] = unfold(rest[index], key, name);
    });
    return made;
  };
  return unfold(structure, '', '');
}

try {
  load();
} catch (error) {
  document.getElementById('detail').replaceChildren(`This browser cannot show the cases: ${error.message}`);
  throw error;
}
