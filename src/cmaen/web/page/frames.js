/** The frames of a video, each once, and their pixels. */

/**
 * Be told of each new frame that a video shows.
 * @param {HTMLVideoElement} video
 * @param {(frame: {time: number, now: number, missed: boolean}) => void} onFrame `time`: the frame's own, in seconds of
 *     the video; `now`: of the page's clock, in milliseconds; `missed`: others came between it and the last one.
 * @returns {() => void} To be called when no more are wanted.
 */
export function watchFrames(video, onFrame) {
  let over = false;
  let last = null;
  const tell = (time, now, count) => {
    const missed = last !== null && count > last + 1;
    last = count;
    onFrame({ time, now, missed });
  };
  if (video.requestVideoFrameCallback) {
    const next = (now, { mediaTime, presentedFrames }) => {
      if (over) return;
      video.requestVideoFrameCallback(next);
      tell(mediaTime, now, presentedFrames);
    };
    video.requestVideoFrameCallback(next);
  } else {
    let shown = null;
    const look = (now) => {
      if (over) return;
      requestAnimationFrame(look);
      const count = video.getVideoPlaybackQuality?.().totalVideoFrames ?? 0; // the clock moves between frames, too
      const mark = `${count || video.currentTime} ${video.seeking}`;
      if (mark === shown || video.readyState < 2 || video.seeking) return;
      shown = mark;
      tell(video.currentTime, now, count);
    };
    requestAnimationFrame(look);
  }
  return () => {
    over = true;
  };
}

/** How large the pictures of something are, in pixels. */
export function sizeOf(picture) {
  return { width: picture.videoWidth ?? picture.width, height: picture.videoHeight ?? picture.height };
}

/** A copy of what a picture shows now, no larger than a side. */
export function copyOf(picture, side) {
  const { width, height } = sizeOf(picture);
  const scale = Math.max(1, Math.max(width, height) / side);
  const [resizeWidth, resizeHeight] = [width, height].map((length) => Math.max(1, Math.round(length / scale)));
  return createImageBitmap(picture, scale === 1 ? {} : { resizeWidth, resizeHeight });
}
