import Joi from 'joi';
import { using } from '../using.js';

export default using(async () => {
  const schema = Joi.object({ name: Joi.string().min(2).required(), when: Joi.date().iso(), n: Joi.number().integer().max(9) });
  return {
    good: schema.validate({ name: 'Ada', n: '7' }).value,
    bad: schema.validate({ name: 'A', n: 10 }, { abortEarly: false }).error.details.map(({ type }) => type),
  };
});
