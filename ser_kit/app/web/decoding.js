// Samples of the files that a page is given.

// Channels and rate of a WAV file of integers or floats; null for anything else.
function unpacked(buffer) {
  const view = new DataView(buffer);
  const word = (place) => (place + 4 <= view.byteLength ? String.fromCharCode(...new Uint8Array(buffer, place, 4)) : "");
  if (word(0) !== "RIFF" || word(8) !== "WAVE") return null;
  let format = null;
  const parts = [];
  for (let place = 12; place + 8 <= view.byteLength; ) {
    const [size, begin] = [view.getUint32(place + 4, true), place + 8];
    if (word(place) === "fmt ") {
      const kind = view.getUint16(begin, true);
      format = {
        kind: kind === 0xfffe && size >= 26 ? view.getUint16(begin + 24, true) : kind,
        count: view.getUint16(begin + 2, true), rate: view.getUint32(begin + 4, true),
        bytes: view.getUint16(begin + 12, true) / view.getUint16(begin + 2, true),
      };
    } else if (word(place) === "data") parts.push([begin, Math.min(begin + size, view.byteLength)]);
    place = begin + size + (size % 2);
  }
  const read = format && {
    "1-1": (i) => (view.getUint8(i) - 128) / 128,
    "1-2": (i) => view.getInt16(i, true) / 0x8000,
    "1-3": (i) => (view.getUint16(i, true) | (view.getInt8(i + 2) << 16)) / 0x800000,
    "1-4": (i) => view.getInt32(i, true) / 0x80000000,
    "3-4": (i) => view.getFloat32(i, true),
    "3-8": (i) => view.getFloat64(i, true),
  }[`${format.kind}-${format.bytes}`];
  if (!read) return null;
  const step = format.bytes * format.count;
  const lengths = parts.map(([begin, end]) => Math.floor((end - begin) / step));
  const length = lengths.reduce((a, b) => a + b, 0);
  const channels = Array.from({ length: format.count }, () => new Float32Array(length));
  let done = 0;
  parts.forEach(([begin], k) => {
    for (let i = 0; i < lengths[k]; i += 1, done += 1) {
      channels.forEach((channel, c) => (channel[done] = read(begin + i * step + c * format.bytes)));
    }
  });
  return { channels, rate: format.rate };
}

// The sampling rate in the head of a file, so that the browser need not resample; 48 kHz where it is not known.
function rateOf(bytes) {
  const text = (place, length) => String.fromCharCode(...bytes.subarray(place, place + length));
  if (text(0, 4) === "fLaC") return (bytes[18] << 12) | (bytes[19] << 4) | (bytes[20] >> 4);
  if (text(29, 6) === "vorbis") return new DataView(bytes.buffer).getUint32(40, true);
  let place = 0;
  if (text(0, 3) === "ID3") {
    place = 10 + ((bytes[6] << 21) | (bytes[7] << 14) | (bytes[8] << 7) | bytes[9]);
  }
  if (bytes[place] === 0xff && bytes[place + 1] >= 0xe2) {
    const rate = [44100, 48000, 32000][(bytes[place + 2] >> 2) & 3];
    return rate / { 3: 1, 2: 2, 0: 4 }[(bytes[place + 1] >> 3) & 3] || 48000;
  }
  return 48000;
}

async function channelsOf(buffer) {
  if (!buffer.byteLength) throw new Error("is empty (zero bytes); expected a sound file");
  const found = unpacked(buffer);
  if (found) return found;
  const rate = rateOf(new Uint8Array(buffer));
  try {
    const sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(buffer);
    const channels = Array.from({ length: sound.numberOfChannels }, (_, i) => sound.getChannelData(i).slice());
    return { channels, rate };
  } catch {
    throw new Error("is not a recording that this browser can decode; save it as WAV, FLAC or MP3");
  }
}
