/** US dollars: a GB (10⁹ bytes) for a month, a thousand PUT requests, a thousand LIST requests. */
export type Prices = { gb: number; put: number; list: number };

/** Amazon S3 standard in its cheapest regions; others differ, many ask nothing for requests. */
export const amazon: Prices = { gb: 0.023, put: 0.005, list: 0.005 };
