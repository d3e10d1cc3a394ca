import * as yup from 'yup';
import { using } from '../using.js';

export default using(async () => {
  const schema = yup.object({
    name: yup.string().required(),
    tags: yup.array().of(yup.string().uppercase()).max(2),
    on: yup.date().default(() => new Date(0)),
  });
  const bad = await schema.validate({ tags: ['a', 'b', 'c'] }, { abortEarly: false }).catch((error) => error.errors.length);
  return { good: await schema.validate({ name: 'x', tags: ['a'] }), bad };
});
