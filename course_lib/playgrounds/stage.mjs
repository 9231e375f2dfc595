// What the playgrounds share: chance that can be repeated, a clock, and the way to the controls.

// Numbers even in 0 to 1, the same ones for the same seed (mulberry32).
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// The place of the largest number, the first of several.
export function argmax(numbers) {
  return numbers.reduce((best, x, i) => (x > numbers[best] ? i : best), 0);
}

// Calls advance(seconds since the last picture) while it plays; a hidden page costs no time.
export function clock(advance) {
  let frame = 0, last = 0;
  const tick = now => {
    frame = requestAnimationFrame(tick); // first, so that advance may pause
    const seconds = Math.min(Math.max(now - last, 0) / 1000, 0.1);
    last = now;
    advance(seconds);
  };
  return {
    get playing() { return frame !== 0; },
    play() {
      if (frame) return;
      last = performance.now();
      frame = requestAnimationFrame(tick);
    },
    pause() {
      cancelAnimationFrame(frame);
      frame = 0;
    },
  };
}

// Shows the controls, drops the words for those who have none, and calls on[name](element) when
// the control of this name is used.
export function connect(figure, on) {
  figure.querySelector(".dlm-without")?.remove();
  for (const hidden of figure.querySelectorAll("[hidden]")) hidden.hidden = false;
  const controls = {};
  for (const [name, act] of Object.entries(on)) {
    const control = figure.querySelector(`[name="${name}"]`);
    control.addEventListener(control.tagName === "BUTTON" ? "click" : "input", () => act(control));
    controls[name] = control;
  }
  return controls;
}
