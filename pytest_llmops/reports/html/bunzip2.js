// bzip2, which writes a run of many texts a third shorter than what browsers unpack themselves. Checksums are not
// looked at: a page that is cut off fails in its JSON.

/** Bits of bytes, highest first; at most 24 at a time. */
class Bits {
  constructor(bytes) {
    Object.assign(this, {bytes, at: 0, held: 0, count: 0});
  }

  peek(wanted) {
    while (this.count < wanted) {
      this.held = (this.held << 8) | this.bytes[this.at++];
      this.count += 8;
    }
    return (this.held >>> (this.count - wanted)) & ((1 << wanted) - 1);
  }

  skip(count) {
    this.count -= count;
  }

  read(wanted) {
    const value = this.peek(wanted);
    this.count -= wanted;
    return value;
  }
}

/** The bytes of a bzip2 stream. */
function bunzip2(bytes) {
  const reader = new Bits(bytes);
  const read = (count) => reader.read(count);
  for (let skipped = 0; skipped < 4; skipped += 1) read(8); // BZh9
  const pieces = [];
  while (read(24) === 0x314159 && read(24) === 0x265359) pieces.push(block(reader, read));
  const whole = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function block(reader, read) {
  read(16);
  read(16); // the checksum
  read(1);
  const origin = read(24);
  const alphabet = usedBytes(read);
  const tableCount = read(3);
  const selectors = readSelectors(read, tableCount);
  const tables = Array.from({length: tableCount}, () => huffman(codeLengths(read, alphabet.length + 2)));
  return unrunned(unsorted(...moved(reader, alphabet, selectors, tables), origin));
}

function usedBytes(read) {
  const rows = read(16);
  const found = [];
  for (let row = 0; row < 16; row += 1) {
    if (!(rows & (0x8000 >> row))) continue;
    const used = read(16);
    for (let column = 0; column < 16; column += 1) if (used & (0x8000 >> column)) found.push(16 * row + column);
  }
  return found;
}

function readSelectors(read, tableCount) {
  const order = [0, 1, 2, 3, 4, 5].slice(0, tableCount);
  return Array.from({length: read(15)}, () => {
    let rank = 0;
    while (read(1)) rank += 1;
    order.unshift(...order.splice(rank, 1));
    return order[0];
  });
}

function codeLengths(read, size) {
  let length = read(5);
  return Array.from({length: size}, () => {
    while (read(1)) length += read(1) ? -1 : 1;
    return length;
  });
}

/** Canonical codes as a table: what the next 20 bits mean, symbol and length, by as many of them as the longest has. */
function huffman(lengths) {
  const longest = Math.max(...lengths);
  const meaning = new Uint16Array(1 << longest);
  let at = 0;
  for (let length = 1; length <= longest; length += 1) {
    lengths.forEach((one, symbol) => {
      if (one !== length) return;
      meaning.fill((symbol << 5) | length, at, at + (1 << (longest - length)));
      at += 1 << (longest - length);
    });
  }
  return {meaning, longest};
}

/** Huffman codes, runs and move-to-front undone: the sorted last column, and how often each byte stands in it. */
function moved(reader, alphabet, selectors, tables) {
  const column = new Uint8Array(900000);
  const counts = new Int32Array(256);
  const front = Uint8Array.from(alphabet);
  const end = alphabet.length + 1;
  let [size, run, weight] = [0, 0, 1];
  for (const selected of selectors) {
    const {meaning, longest} = tables[selected];
    for (let left = 50; left > 0; left -= 1) {
      const found = meaning[reader.peek(longest)];
      reader.skip(found & 31);
      const symbol = found >> 5;
      if (symbol < 2) {
        run += weight << symbol;
        weight <<= 1;
        continue;
      }
      if (run) {
        column.fill(front[0], size, size + run);
        counts[front[0]] += run;
        size += run;
        [run, weight] = [0, 1];
      }
      if (symbol === end) return [column.subarray(0, size), counts];
      const byte = front[symbol - 1];
      for (let place = symbol - 1; place > 0; place -= 1) front[place] = front[place - 1];
      front[0] = byte;
      counts[byte] += 1;
      column[size] = byte;
      size += 1;
    }
  }
  throw new Error('the data is damaged');
}

/** The Burrows–Wheeler transform undone. */
function unsorted(column, counts, origin) {
  const starts = new Int32Array(256);
  for (let byte = 1; byte < 256; byte += 1) starts[byte] = starts[byte - 1] + counts[byte - 1];
  // Byte and successor in one number: half as many jumps through memory, which is what takes the time.
  const chain = new Uint32Array(column);
  for (let index = 0; index < column.length; index += 1) {
    chain[starts[column[index]]++] |= index << 8;
  }
  const bytes = new Uint8Array(column.length);
  let link = chain[origin];
  for (let index = 0; index < bytes.length; index += 1) {
    link = chain[link >>> 8];
    bytes[index] = link;
  }
  return bytes;
}

/** After four equal bytes, a fifth says how many more there are. */
function unrunned(bytes) {
  let size = 0;
  let same = 0;
  for (let index = 0; index < bytes.length; index += 1) {
    if (same === 4) {
      size += bytes[index];
      same = 0;
      continue;
    }
    same = same && bytes[index] === bytes[index - 1] ? same + 1 : 1;
    size += 1;
  }
  const whole = new Uint8Array(size);
  let at = 0;
  same = 0;
  for (let index = 0; index < bytes.length; index += 1) {
    if (same === 4) {
      whole.fill(bytes[index - 1], at, at + bytes[index]);
      at += bytes[index];
      same = 0;
      continue;
    }
    same = same && bytes[index] === bytes[index - 1] ? same + 1 : 1;
    whole[at] = bytes[index];
    at += 1;
  }
  return whole;
}
