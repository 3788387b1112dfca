// The answers of a page without a server, computed in a worker: what ser_kit.inference does around the two networks,
// with the same numbers. `engine` is turned into the worker's source, so it refers to nothing outside itself.

function engine(scope) {
  const ATTENUATION = 126; // dB; this filter is that of soxr's "high quality"
  const PASSED = 0.9136; // of the lower of the two Nyquist frequencies
  let config, model, check, ort, cancelled;

  async function load(given) {
    config = given.config;
    ort = await import(URL.createObjectURL(new Blob([given.files.script], { type: "text/javascript" })));
    ort.env.wasm.wasmBinary = given.files.wasm;
    ort.env.wasm.numThreads = 1; // more would need a cross-origin isolated page
    const options = { extra: { session: { disable_quant_qdq: "1" } }, graphOptimizationLevel: config.optimized };
    const open = (bytes) => ort.InferenceSession.create(new Uint8Array(bytes), options);
    [model, check] = [await open(given.files.model), await open(given.files.check)];
  }

  // ------------------------------------------------------------------------------------------------- samples

  function peak(samples) {
    let most = 0;
    for (const value of samples) {
      if (!Number.isFinite(value)) throw new Error("holds samples that are not finite");
      most = Math.max(most, Math.abs(value));
    }
    return most;
  }

  // The mean of the channels; where they cancel each other, the loudest.
  function mono(channels) {
    if (channels.length === 1) return channels[0];
    const mean = new Float32Array(channels[0].length);
    for (const channel of channels) channel.forEach((value, i) => (mean[i] += value / channels.length));
    const peaks = channels.map(peak);
    return peak(mean) < 1e-3 * Math.max(...peaks) ? channels[peaks.indexOf(Math.max(...peaks))] : mean;
  }

  function bessel(x) {
    let [sum, term] = [1, 1];
    for (let k = 1; term > 1e-12 * sum; k += 1) sum += term *= (x / (2 * k)) ** 2;
    return sum;
  }

  // By a windowed sinc: the taps of each phase are computed once.
  function resampled(samples, from, to) {
    if (from === to) return samples;
    const divisor = (function common(a, b) { return b ? common(b, a % b) : a; })(from, to);
    const [up, down] = [to / divisor, from / divisor];
    const lower = Math.min(from, to) / from; // Nyquist frequency, as a share of the input's
    const beta = 0.1102 * (ATTENUATION - 8.7);
    const reach = Math.ceil((ATTENUATION - 7.95) / (14.36 * (1 - PASSED) * lower * 0.5) / 2);
    const cut = (lower * (1 + PASSED)) / 2;
    const whole = bessel(beta);
    const width = 2 * reach;
    const taps = new Float64Array(up * width);
    for (let phase = 0; phase < up; phase += 1) {
      for (let i = 0; i < width; i += 1) {
        const x = i - reach + 1 - phase / up;
        const inside = Math.sqrt(Math.max(0, 1 - (x / reach) ** 2));
        const angle = Math.PI * cut * x;
        taps[phase * width + i] = (cut * (angle ? Math.sin(angle) / angle : 1) * bessel(beta * inside)) / whole;
      }
    }
    const found = new Float32Array(Math.floor((samples.length * to) / from + 0.5));
    for (let i = 0; i < found.length; i += 1) {
      const phase = ((i * down) % up) * width;
      const first = Math.floor((i * down) / up) - reach + 1;
      let sum = 0;
      for (let j = Math.max(0, -first); j < Math.min(width, samples.length - first); j += 1) {
        sum += taps[phase + j] * samples[first + j];
      }
      found[i] = sum;
    }
    return found;
  }

  // Windows of equal length; a short recording stays whole.
  function windows(samples) {
    const seconds = samples.length / config.rate;
    if (seconds < config.shortest) throw new Error(`lasts ${seconds.toFixed(3)} s; expected ${config.shortest} s or more`);
    const count = seconds <= config.long ? 1 : Math.ceil(seconds / config.window);
    const edge = (i) => (i === count ? samples.length : Math.floor(i * (samples.length / count)));
    const found = Array.from({ length: count }, (_, i) => [edge(i), edge(i + 1)]);
    const loud = found.filter(([start, end]) => peak(samples.subarray(start, end)) > config.silent);
    if (!loud.length) throw new Error("is silent; expected a recording with speech in it");
    return loud;
  }

  // ------------------------------------------------------------------------------------------------- answers

  const sum = (values) => values.reduce((a, b) => a + b, 0);

  async function run(session, samples) {
    const input = new ort.Tensor("float32", samples.slice(), [1, samples.length]);
    const outputs = await session.run({ samples: input });
    return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, Array.from(data, Number)]));
  }

  async function answered(samples, at) {
    const { probabilities, corpus = [-1] } = await run(model, samples);
    const { measures, pitch } = await run(check, resampled(samples, config.rate, config.checkRate));
    const total = sum(probabilities);
    const one = { p: probabilities.map((p) => p / total), corpus: corpus[0], measures, pitch };
    return { start: at[0] / config.rate, end: at[1] / config.rate, ...one, reason: noSpeech([one], [1]) };
  }

  // Share of small differences in pitch; octave jumps count as none.
  function small(pieces, order) {
    const steps = pieces.flatMap(({ pitch }) => {
      let track = pitch.map((hertz) => (hertz > 0 ? 12 * Math.log2(Math.max(hertz, 1)) : NaN));
      for (let i = 0; i < order; i += 1) track = track.slice(1).map((value, j) => value - track[j]);
      return track.filter(Number.isFinite);
    });
    const turned = (step) => ((((step + 6) % 12) + 12) % 12) - 6;
    const few = steps.filter((step) => Math.abs(turned(step)) < config.check.semitones);
    return steps.length < config.check.fewest ? 0 : few.length / steps.length;
  }

  function noSpeech(pieces, weights) {
    const { floors, held, gliding, glidingVoiced } = config.check;
    const means = floors.map((_, i) => sum(pieces.map((piece, j) => piece.measures[i] * weights[j])));
    const found = floors.filter(([floor], i) => means[i] < floor).map(([, phrase]) => phrase);
    const glides = means[0] > glidingVoiced && small(pieces, 2) > gliding;
    if (small(pieces, 1) > held || glides) found.push("a pitch steadier than any voice");
    return found.length ? `${config.noSpeech} (${found.join(", ")})` : "";
  }

  function weightsOf(pieces) {
    const total = sum(pieces.map((piece) => piece.measures[0]));
    return pieces.map((piece) => (total ? piece.measures[0] / total : 1 / pieces.length));
  }

  function concluded(pieces, seconds) {
    const weights = weightsOf(pieces);
    const p = config.labels.map((_, i) => sum(pieces.map((piece, j) => piece.p[i] * weights[j])));
    const ranked = config.labels.map((label, i) => [label, p[i]]).sort((a, b) => b[1] - a[1]);
    const confidence = ranked[0][1];
    const against = noSpeech(pieces, weights);
    const two = ranked.slice(0, 2).map(([label, share]) => `${label} ${(100 * share).toFixed(0)} %`);
    const vague = confidence < config.uncertainBelow ? `no emotion stands out: ${two.join(", ")}` : "";
    const reason = against || vague;
    const sure = confidence >= (config.sureFrom ?? Infinity);
    const verdict = reason || confidence < config.even ? "not sure" : sure ? "sounds" : "leans towards";
    const near = [...new Set(pieces.map(({ corpus }) => config.corpora[corpus]))];
    const resembled = near.every(Boolean) && near.length;
    const rests = resembled ? `held-out speakers of ${near.sort().join(", ")}, which the recording resembles` : config.rests;
    const hertz = pieces.flatMap((piece) => piece.pitch.filter((value) => value > 0));
    return {
      emotion: ranked[0][0], confidence, p, ranked, reason, verdict, rests, duration: seconds, hertz,
      noSpeech: Boolean(against), 
      voiced: sum(pieces.map((piece) => piece.measures[0])) / pieces.length,
      pieces: pieces.map(({ start, end, p: shares, reason: silent }) => ({ start, end, p: shares, reason: silent })),
    };
  }

  // ------------------------------------------------------------------------------------------- explanations

  // As ser_kit.inference.explaining: the answers without each stretch of time and each band of frequency.

  function quantile(values, share) {
    const sorted = Float64Array.from(values).sort();
    const [low, rest] = [Math.floor(share * (sorted.length - 1)), (share * (sorted.length - 1)) % 1];
    return sorted[low] + rest * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
  }

  // Replaced by noise as loud as the quietest tenth, and faded at both ends.
  function silenced(samples, start, end) {
    const frame = Math.round(0.02 * config.rate);
    const levels = Array.from({ length: Math.max(1, Math.floor(samples.length / frame)) }, (_, i) => {
      const part = samples.subarray(i * frame, (i + 1) * frame);
      return Math.sqrt(part.reduce((total, value) => total + value * value, 0) / part.length);
    });
    const level = quantile(levels, 0.1);
    let state = Math.round(1000 * start) + samples.length; // the same noise for the same stretch
    const random = () => (state = (1664525 * state + 1013904223) % 2 ** 32) / 2 ** 32;
    return samples.map((value, i) => {
      const time = i / config.rate;
      const gain = Math.min(1, Math.max(0, Math.max(start - time, time - end) / 0.01));
      const noise = level * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
      return gain * value + (1 - gain) * noise;
    });
  }

  // In place; the length is a power of two.
  function fourier(real, imaginary, sign) {
    const size = real.length;
    for (let i = 1, j = 0; i < size; i += 1) {
      let bit = size >> 1;
      for (; j & bit; bit >>= 1) j ^= bit;
      j ^= bit;
      if (i < j) {
        [real[i], real[j]] = [real[j], real[i]];
        [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
      }
    }
    for (let half = 1; half < size; half *= 2) {
      for (let k = 0; k < half; k += 1) {
        const [cosine, sine] = [Math.cos((Math.PI * k) / half), (sign * Math.sin((Math.PI * k) / half))];
        for (let i = k; i < size; i += 2 * half) {
          const j = i + half;
          const re = cosine * real[j] - sine * imaginary[j];
          const im = cosine * imaginary[j] + sine * real[j];
          [real[j], imaginary[j]] = [real[i] - re, imaginary[i] - im];
          [real[i], imaginary[i]] = [real[i] + re, imaginary[i] + im];
        }
      }
    }
  }

  // A transform of any length, by Bluestein's algorithm: padding to a power of two would filter other frequencies.
  function transformed([real, imaginary], sign) {
    const count = real.length;
    const size = 2 ** Math.ceil(Math.log2(2 * count - 1));
    const angles = Float64Array.from({ length: count }, (_, i) => (sign * Math.PI * ((i * i) % (2 * count))) / count);
    const [a, b, c, d] = Array.from({ length: 4 }, () => new Float64Array(size));
    for (let i = 0; i < count; i += 1) {
      const [cosine, sine] = [Math.cos(angles[i]), Math.sin(angles[i])];
      a[i] = real[i] * cosine - imaginary[i] * sine;
      b[i] = real[i] * sine + imaginary[i] * cosine;
      c[i] = c[(size - i) % size] = cosine;
      d[i] = d[(size - i) % size] = -sine;
    }
    fourier(a, b, -1);
    fourier(c, d, -1);
    for (let i = 0; i < size; i += 1) [a[i], b[i]] = [a[i] * c[i] - b[i] * d[i], a[i] * d[i] + b[i] * c[i]];
    fourier(a, b, 1);
    for (let i = 0; i < count; i += 1) {
      const [cosine, sine] = [Math.cos(angles[i]) / size, Math.sin(angles[i]) / size];
      [a[i], b[i]] = [a[i] * cosine - b[i] * sine, a[i] * sine + b[i] * cosine];
    }
    return [a.subarray(0, count), b.subarray(0, count)];
  }

  function withoutBand(spectrum, low, high) {
    const [real, imaginary] = spectrum.map((values) => values.slice());
    const count = real.length;
    for (let i = 0; i < count; i += 1) {
      const hertz = (Math.min(i, count - i) * config.rate) / count;
      if (hertz >= low && hertz < high) real[i] = imaginary[i] = 0;
    }
    return Float32Array.from(transformed([real, imaginary], 1)[0], (value) => value / count);
  }

  async function explained({ channels, rate, label }, watch) {
    const samples = resampled(mono(channels), rate, config.rate);
    const parts = windows(samples).map(([start, end]) => ({ start, samples: samples.subarray(start, end) }));
    const k = config.labels.indexOf(label);
    for (const part of parts) Object.assign(part, await answered(part.samples, [part.start, 0]), { start: part.start });
    const weights = weightsOf(parts);
    const edges = config.bands.slice(0, -1).map((low, i) => [low, Math.min(config.bands[i + 1], config.rate / 2)]);
    const length = Math.max(config.stretch, sum(parts.map((one) => one.samples.length)) / config.rate / config.mostStretches);
    const spans = parts.flatMap((part, i) => {
      const seconds = part.samples.length / config.rate;
      const count = Math.max(1, Math.round(seconds / length));
      return Array.from({ length: count }, (_, j) => [i, (seconds * j) / count, (seconds * (j + 1)) / count]);
    });
    let done = 0;
    async function effect(i, changed) {
      watch(done, spans.length + edges.length * parts.length);
      done += 1;
      await new Promise((resolve) => setTimeout(resolve)); // so that a message to cancel arrives
      if (cancelled) throw new Error("was cancelled");
      const { probabilities } = await run(model, changed);
      return weights[i] * (parts[i].p[k] - probabilities[k] / sum(probabilities));
    }
    const found = { stretches: [], bands: [] };
    for (const [i, low, high] of spans) {
      const at = parts[i].start / config.rate;
      found.stretches.push([at + low, at + high, await effect(i, silenced(parts[i].samples, low, high))]);
    }
    const spectra = parts.map((part) => transformed([part.samples, new Float32Array(part.samples.length)], -1));
    for (const [low, high] of edges) {
      let total = 0;
      for (const [i, spectrum] of spectra.entries()) total += await effect(i, withoutBand(spectrum, low, high));
      found.bands.push([low, high, total]);
    }
    return found;
  }

  // Lowest and highest sample of each of so many parts, for a drawing; more of them where it can be zoomed.
  function outline(samples) {
    const count = Math.min(8000, Math.max(800, Math.ceil((samples.length / config.rate) * 25)));
    const most = Math.max(peak(samples) * 1.05, 1e-3);
    const found = Array.from({ length: count }, () => [0, 0]);
    samples.forEach((value, i) => {
      const part = found[Math.floor((i * count) / samples.length)];
      part[0] = Math.min(part[0], value / most);
      part[1] = Math.max(part[1], value / most);
    });
    return found;
  }

  async function answer({ channels, rate }, watch) {
    const native = mono(channels);
    const samples = resampled(native, rate, config.rate);
    const found = windows(samples);
    const pieces = [];
    for (const [start, end] of found) {
      watch(pieces.length, found.length);
      await new Promise((resolve) => setTimeout(resolve)); // so that a message to cancel arrives
      if (cancelled) throw new Error("was cancelled");
      pieces.push(await answered(samples.subarray(start, end), [start, end]));
    }
    const facts = { rate, channels: channels.length, outline: outline(samples) };
    return { ...concluded(pieces, samples.length / config.rate), ...facts };
  }

  scope.onmessage = async ({ data }) => {
    if (data.kind === "cancel") {
      cancelled = true;
      return;
    }
    cancelled = false;
    try {
      const watch = (done, total) => scope.postMessage({ kind: "progress", done, total });
      const value = await { load, answer, explain: explained }[data.kind](data, watch);
      scope.postMessage({ kind: "done", value });
    } catch (error) {
      scope.postMessage({ kind: "failed", error: error.message ?? String(error) });
    }
  };
}
