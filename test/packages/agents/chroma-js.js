import chroma from 'chroma-js';
import { using } from '../using.js';

export default using(async () => {
  return {
    mix: chroma.mix('red', 'blue', 0.5, 'lab').hex(),
    scale: chroma.scale(['#fff', '#036']).colors(3),
    contrast: chroma.contrast('white', '#777').toFixed(2),
  };
});
