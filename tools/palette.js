// A picture (PNG, as base64) as one with a palette of at most 256 colours, each close to what it stands for.
async (base64) => {
  const given = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([given], { type: "image/png" }));
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);

  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const colours = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a));
  const parts = (colour) => [colour & 255, (colour >> 8) & 255, (colour >> 16) & 255];
  const distance = (a, b) => Math.max(...parts(a).map((part, at) => Math.abs(part - parts(b)[at])));
  let palette = [], places;
  for (let apart = 0; apart < 256; apart += 3) {
    palette = [];
    places = new Map();
    for (const colour of colours) {
      let place = palette.findIndex((other) => distance(colour, other) <= apart);
      if (place < 0) place = palette.push(colour) - 1;
      places.set(colour, place);
      if (palette.length > 256) break;
    }
    if (palette.length <= 256) break;
  }

  const rows = new Uint8Array((width + 1) * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) rows[y * (width + 1) + 1 + x] = places.get(pixels[y * width + x]);
  }
  const packed = new Uint8Array(
    await new Response(new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"))).arrayBuffer());

  const table = Uint32Array.from({ length: 256 }, (_, at) => {
    let value = at;
    for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    return value;
  });
  const checksum = (bytes) => {
    let value = 0xffffffff;
    for (const byte of bytes) value = table[(value ^ byte) & 255] ^ (value >>> 8);
    return (value ^ 0xffffffff) >>> 0;
  };
  const number = (value) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
  const chunk = (name, bytes) => {
    const named = new Uint8Array([...[...name].map((letter) => letter.charCodeAt(0)), ...bytes]);
    return [...number(bytes.length), ...named, ...number(checksum(named))];
  };
  const made = [
    137, 80, 78, 71, 13, 10, 26, 10,
    ...chunk("IHDR", [...number(width), ...number(height), 8, 3, 0, 0, 0]),
    ...chunk("PLTE", palette.flatMap(parts)),
    ...chunk("IDAT", packed),
    ...chunk("IEND", []),
  ];
  let text = "";
  for (const byte of made) text += String.fromCharCode(byte);
  return btoa(text);
}
