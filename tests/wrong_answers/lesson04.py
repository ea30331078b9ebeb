"""Answers that learners give to the exercises of lesson 04 and that are wrong, under the name of the mistake."""

import math

import numpy as np

STUB = {"add_rows": "repeated"}


def sigmoid(s):
    return 1 / (1 + np.exp(-s))


# ---------------------------------------------------------------------- add_rows


def overwrite(ids, dout, vocab_size):
    dw = np.zeros((vocab_size, dout.shape[-1]))
    dw[ids] = dout
    return dw


def average(ids, dout, vocab_size):
    dw = np.zeros((vocab_size, dout.shape[-1]))
    for i in np.unique(ids):
        dw[i] = dout[ids == i].mean(axis=0)
    return dw


def first_only(ids, dout, vocab_size):
    dw = np.zeros((vocab_size, dout.shape[-1]))
    flat, rows = ids.ravel(), dout.reshape(-1, dout.shape[-1])
    unique, at = np.unique(flat, return_index=True)
    dw[unique] = rows[at]
    return dw


def one_row_up(ids, dout, vocab_size):
    dw = np.zeros((vocab_size, dout.shape[-1]))
    np.add.at(dw, ids - 1, dout)
    return dw


def rows_of_ids_only(ids, dout, vocab_size):
    flat = ids.ravel()
    rows = dout.reshape(-1, dout.shape[-1])
    return np.array([rows[flat == i].sum(axis=0) for i in np.unique(flat)])


# ---------------------------------------------------------------------- ppmi_table


def chance(X):
    return np.outer(X.sum(axis=1), X.sum(axis=0)) / X.sum()


def pmi(X):
    return np.log(X / chance(X))


def ppmi_in_bits(X):
    return np.log2(np.maximum(X / chance(X), 1))


def absolute(X):
    return np.abs(pmi(X))


def ratio_only(X):
    return np.maximum(X / chance(X), 1)


def per_row(X):
    return np.maximum(np.log(X / X.sum(axis=1, keepdims=True)), 0)


def counts_as_probabilities(X):
    return np.maximum(np.log(X / np.outer(X.sum(axis=1), X.sum(axis=0))), 0)


def empty_rows_forgotten(X):
    return np.log(np.maximum(X / chance(X), 1))


def shifted_counts(X):
    return np.maximum(pmi(X + (X == 0).any()), 0)


# ---------------------------------------------------------------------- nearest_ids


def cosines(matrix, i):
    lengths = np.linalg.norm(matrix, axis=1)
    return matrix @ matrix[i] / lengths / lengths[i]


def with_itself(matrix, i, n):
    return np.argsort(-cosines(matrix, i))[:n].tolist()


def dot_products(matrix, i, n):
    scores = matrix @ matrix[i]
    scores[i] = -np.inf
    return np.argsort(-scores)[:n].tolist()


def distances(matrix, i, n):
    far = np.linalg.norm(matrix - matrix[i], axis=1)
    return np.argsort(far)[1 : n + 1].tolist()


def least_similar(matrix, i, n):
    order = np.argsort(cosines(matrix, i)).tolist()
    order.remove(i)
    return order[:n]


def most_similar_last(matrix, i, n):
    return np.argsort(cosines(matrix, i))[-n - 1 : -1].tolist()


# ---------------------------------------------------------------------- question_gradients


def from_scores(ds, w_c, others):
    return ds @ others, np.outer(ds, w_c)


def no_answer(w_c, others):
    return from_scores(sigmoid(others @ w_c), w_c, others)


def answer_minus_probability(w_c, others):
    ds = -sigmoid(others @ w_c)
    ds[0] += 1
    return from_scores(ds, w_c, others)


def everything_true(w_c, others):
    return from_scores(sigmoid(others @ w_c) - 1, w_c, others)


def one_choice(w_c, others):
    e = np.exp(others @ w_c)
    ds = e / e.sum()
    ds[0] -= 1
    return from_scores(ds, w_c, others)


def no_sigmoid(w_c, others):
    ds = others @ w_c
    ds[0] -= 1
    return from_scores(ds, w_c, others)


def right_scores(w_c, others):
    ds = sigmoid(others @ w_c)
    ds[0] -= 1
    return ds


def mean_of_questions(w_c, others):
    ds = right_scores(w_c, others)
    return from_scores(ds / len(ds), w_c, others)


def a_row_for_each_question(w_c, others):
    ds = right_scores(w_c, others)
    return ds[:, None] * others, np.outer(ds, w_c)


def other_order(w_c, others):
    dw_c, dothers = from_scores(right_scores(w_c, others), w_c, others)
    return dothers, dw_c


# ---------------------------------------------------------------------- glove_error


def weights(X, x_max):
    return np.minimum(1, X / x_max) ** 0.75


def summed(f, e, X):
    return float((f * e**2)[X > 0].sum())


def log_of(X):
    return np.log(np.where(X > 0, X, 1))


def zeros_included(w, w_tilde, b, b_tilde, X, x_max):
    with np.errstate(all="ignore"):
        e = w @ w_tilde.T + b[:, None] + b_tilde - np.log(X)
        return float((weights(X, x_max) * e**2).sum())


def no_cap(w, w_tilde, b, b_tilde, X, x_max):
    return summed((X / x_max) ** 0.75, w @ w_tilde.T + b[:, None] + b_tilde - log_of(X), X)


def no_power(w, w_tilde, b, b_tilde, X, x_max):
    return summed(np.minimum(1, X / x_max), w @ w_tilde.T + b[:, None] + b_tilde - log_of(X), X)


def no_weight(w, w_tilde, b, b_tilde, X, x_max):
    return summed(1.0, w @ w_tilde.T + b[:, None] + b_tilde - log_of(X), X)


def log_of_one_more(w, w_tilde, b, b_tilde, X, x_max):
    return summed(weights(X, x_max), w @ w_tilde.T + b[:, None] + b_tilde - np.log1p(X), X)


def no_bias(w, w_tilde, b, b_tilde, X, x_max):
    return summed(weights(X, x_max), w @ w_tilde.T - log_of(X), X)


def biases_swapped(w, w_tilde, b, b_tilde, X, x_max):
    return summed(weights(X, x_max), w @ w_tilde.T + b + b_tilde[:, None] - log_of(X), X)


def both_biases_along_columns(w, w_tilde, b, b_tilde, X, x_max):
    return summed(weights(X, x_max), w @ w_tilde.T + b + b_tilde - log_of(X), X)


def mean_error(w, w_tilde, b, b_tilde, X, x_max):
    e = w @ w_tilde.T + b[:, None] + b_tilde - log_of(X)
    return float((weights(X, x_max) * e**2)[X > 0].mean())


def not_squared(w, w_tilde, b, b_tilde, X, x_max):
    e = w @ w_tilde.T + b[:, None] + b_tilde - log_of(X)
    return float((weights(X, x_max) * e)[X > 0].sum())


WRONG = {
    "untrained_loss": {
        "no-neighbour": lambda negatives: negatives * math.log(2),
        "one-question": lambda negatives: math.log(2),
        "choice": lambda negatives: math.log(negatives + 1),
        "bits": lambda negatives: negatives + 1,
        "sign": lambda negatives: (negatives + 1) * math.log(0.5),
    },
    "add_rows": {
        "repeated": overwrite,
        "averaged": average,
        "first": first_only,
        "shifted": one_row_up,
        "shape": rows_of_ids_only,
    },
    "ppmi_table": {
        "negative": pmi,
        "bits": ppmi_in_bits,
        "absolute": absolute,
        "no-logarithm": ratio_only,
        "all-zero": [per_row, counts_as_probabilities],
        "zero": empty_rows_forgotten,
        "plus-one": shifted_counts,
    },
    "nearest_ids": {
        "itself": with_itself,
        "dot": dot_products,
        "distance": distances,
        "far": least_similar,
        "rising": most_similar_last,
    },
    "question_gradients": {
        "no-answer": no_answer,
        "sign": answer_minus_probability,
        "all-true": everything_true,
        "softmax": one_choice,
        "score": no_sigmoid,
        "mean": mean_of_questions,
        "not-summed": a_row_for_each_question,
        "swapped": other_order,
    },
    "glove_error": {
        "log-zero": zeros_included,
        "uncapped": no_cap,
        "no-power": no_power,
        "no-weight": no_weight,
        "log1p": log_of_one_more,
        "no-bias": no_bias,
        "bias-axes": biases_swapped,
        "both-columns": both_biases_along_columns,
        "mean": mean_error,
        "not-squared": not_squared,
    },
}
