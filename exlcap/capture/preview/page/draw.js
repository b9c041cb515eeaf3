// What is drawn on the page's canvases. Nothing here keeps a picture: the page may stay open over night.

const LINES = ["#a8483c", "#5d8a52", "#4a6fae"]; // red, green, blue
const RULE = "#24282b", WORD = "#7d8589", ALARM = "#d0523c", ACCENT = "#d2923a";

/** Where the whole picture is shown small beside its piece, as shares of the canvas. */
export const INSET = { from: 0.735, size: 0.25 };

/** A canvas as large as it is shown, in device pixels, ready to be drawn on in CSS pixels. */
function fitted(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  return pen;
}

/** A view: the picture, or under the loupe its piece with the picture small in a corner. */
export function drawView(canvas, picture, { piece, place, grid }) {
  const pen = canvas.getContext("2d");
  if (piece) {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(width * picture.height / picture.width);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, width, height);
    const scale = Math.max(ratio, width / piece.width); // a pixel of the frame is one of the page, or more
    pen.imageSmoothingEnabled = false;
    pen.drawImage(piece, (width - piece.width * scale) / 2, (height - piece.height * scale) / 2, piece.width * scale, piece.height * scale);
    const [w, h, x, y] = [width * INSET.size, height * INSET.size, width * INSET.from, height * INSET.from];
    pen.imageSmoothingEnabled = true;
    pen.drawImage(picture, x, y, w, h);
    pen.lineWidth = ratio;
    pen.strokeStyle = RULE;
    pen.strokeRect(x, y, w, h);
    pen.strokeStyle = ACCENT;
    pen.strokeRect(x + place[0] * w - 5 * ratio, y + place[1] * h - 4 * ratio, 10 * ratio, 8 * ratio);
    return;
  }
  if (canvas.width !== picture.width || canvas.height !== picture.height) Object.assign(canvas, { width: picture.width, height: picture.height });
  pen.drawImage(picture, 0, 0);
  if (grid) drawGrid(pen, picture.width, picture.height);
}

function drawGrid(pen, width, height) {
  pen.strokeStyle = "rgb(255 255 255 / .28)";
  pen.lineWidth = Math.max(1, width / 960);
  pen.beginPath();
  for (const share of [1 / 3, 2 / 3]) {
    pen.moveTo(share * width, 0);
    pen.lineTo(share * width, height);
    pen.moveTo(0, share * height);
    pen.lineTo(width, share * height);
  }
  const cross = width / 60;
  pen.moveTo(width / 2 - cross, height / 2);
  pen.lineTo(width / 2 + cross, height / 2);
  pen.moveTo(width / 2, height / 2 - cross);
  pen.lineTo(width / 2, height / 2 + cross);
  pen.stroke();
}

/** 12 bits as 12 stops of light, counts on a logarithmic scale. camera: the numbers of one camera. name: may be empty. */
export function drawHistogram(canvas, camera, name) {
  const pen = fitted(canvas);
  const foot = 16, width = canvas.clientWidth, height = canvas.clientHeight - foot;
  const bins = camera.histogram[0].length;
  const stop = width / (bins - 1) * 12;
  pen.font = "11px ui-monospace, 'DejaVu Sans Mono', monospace";
  pen.textBaseline = "bottom";
  pen.fillStyle = WORD;
  pen.strokeStyle = RULE;
  pen.lineWidth = 1;
  pen.beginPath();
  for (let stops = 0; stops <= 12; stops += 2) {
    const x = Math.min(width - 0.5, Math.round(width - stops * stop) + 0.5);
    pen.moveTo(x, 0);
    pen.lineTo(x, height);
    pen.textAlign = stops === 0 ? "right" : stops === 12 ? "left" : "center";
    pen.fillText(stops === 0 ? "white" : stops === 12 ? "black" : `−${stops}`, Math.max(0, x), height + foot);
  }
  pen.moveTo(0, height + 0.5);
  pen.lineTo(width, height + 0.5);
  pen.stroke();
  const most = Math.log1p(Math.max(...camera.histogram.flat(), 10));
  pen.globalCompositeOperation = "lighter";
  camera.histogram.forEach((counts, colour) => {
    const y = (count) => height - (height - 4) * Math.log1p(count) / most;
    const line = new Path2D();
    counts.forEach((count, bin) => line.lineTo(width * bin / (bins - 1), y(count)));
    const area = new Path2D(line);
    area.lineTo(width, height);
    area.lineTo(0, height);
    pen.globalAlpha = 0.16;
    pen.fillStyle = LINES[colour];
    pen.fill(area);
    pen.globalAlpha = 0.9;
    pen.strokeStyle = LINES[colour];
    pen.save();
    pen.beginPath();
    pen.rect(0, 0, width, height - 0.5); // an empty bin draws no line
    pen.clip();
    pen.stroke(line);
    pen.restore();
  });
  pen.globalCompositeOperation = "source-over";
  pen.globalAlpha = 1;
  pen.textAlign = "left";
  pen.textBaseline = "top";
  pen.fillStyle = WORD;
  pen.fillText(name, 6, 4);
  if (camera.white_share > 0) {
    pen.fillStyle = ALARM;
    pen.fillRect(width - 3, 0, 3, height);
  }
}
