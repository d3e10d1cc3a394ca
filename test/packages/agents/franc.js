import { franc, francAll } from 'franc';
import { using } from '../using.js';

export default using(async () => {
  return {
    de: franc('Dies ist ein ganz gewöhnlicher deutscher Satz über das Wetter'),
    fr: franc('Ceci est une phrase tout à fait ordinaire en français'),
    several: francAll('This is an ordinary sentence about the weather').length > 3,
  };
});
