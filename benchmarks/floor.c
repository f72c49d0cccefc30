// The baseline: training of the tutorial's network in C, vectorised by hand, in about the minimum
// time on this processor. One layer of tanh units, one channel, batch 1, float32, carried state.
//
//   cc -O3 -march=native -ffast-math -fopenmp -DH=16 floor.c -o floor -lm
//   ./floor INPUT
//
// INPUT holds, as 4-byte numbers: updates n, window T, networks R, samples N; samples[N]; starts[n];
// and for each network w_in[H], w_rec[H from][H to], b_ih[H], b_hh[H], w_out[H], b_out. Prints the
// seconds taken (processor and wall-clock time) and the first network's first losses, as JSON.
// H is a multiple of 16. Vectors are as wide as the processor's: wider ones would be split.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__AVX512F__) || defined(__AVX__)
#include <immintrin.h>
#endif
#ifndef H
#define H 16
#endif
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#define VECTORS (H / LANES)
#define BLOCK (VECTORS < 8 ? VECTORS : 8)  // vectors of one row that stay in registers
#define MIRRORED (H <= 64)                 // transposing pays while the weights fit the cache

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int mask __attribute__((vector_size(4 * LANES)));
enum { W_IN = 0, W_REC = H, B_IH = H + H * H, B_HH = B_IH + H, W_OUT = B_HH + H, B_OUT = W_OUT + H };
enum { COUNT = B_OUT + 1, PADDED = B_OUT + 16 };

static inline vec load(const float *p) { return *(const vec *)p; }
static inline void store(float *p, vec a) { *(vec *)p = a; }
static inline vec all(float a) { return a - (vec){0}; }
static inline float total(vec a) {
  float sum = 0;
  for (int i = 0; i < LANES; i++) sum += a[i];
  return sum;
}

static inline vec clamp(vec x, float limit) {
#ifdef __AVX512F__
  return (vec)_mm512_max_ps(_mm512_min_ps((__m512)x, _mm512_set1_ps(limit)), _mm512_set1_ps(-limit));
#elif defined(__AVX__)
  return (vec)_mm256_max_ps(_mm256_min_ps((__m256)x, _mm256_set1_ps(limit)), _mm256_set1_ps(-limit));
#else
  vec high = all(limit), low = all(-limit);
  mask over = x > high, under = x < low;
  x = (vec)((over & (mask)high) | (~over & (mask)x));
  return (vec)((under & (mask)low) | (~under & (mask)x));
#endif
}

// The clamped rational approximation of Eigen 3 (generic_fast_tanh_float), good to a few ulp.
static inline vec fast_tanh(vec x) {
  x = clamp(x, 7.90531110763549805f);
  vec z = x * x, p = z * all(-2.76076847742355e-16f) + all(2.00018790482477e-13f);
  p = z * p + all(-8.60467152213735e-11f);
  p = z * p + all(5.12229709037114e-08f);
  p = z * p + all(1.48572235717979e-05f);
  p = z * p + all(6.37261928875436e-04f);
  p = z * p + all(4.89352455891786e-03f);
  vec q = z * all(1.19825839466702e-06f) + all(1.18534705686654e-04f);
  q = z * q + all(2.26843463243900e-03f);
  q = z * q + all(4.89352518554385e-03f);
  return x * p / q;
}

// y[i] += sum over k of m[k][i] x[k]
static inline void add_product(const float *m, const float *x, float *y) {
#if VECTORS == 1  // four independent sums, to hide latency
  vec a = load(y), b = all(0), c = all(0), d = all(0);
  for (int k = 0; k < H; k += 4) {
    a += load(m + k * H) * all(x[k]);
    b += load(m + (k + 1) * H) * all(x[k + 1]);
    c += load(m + (k + 2) * H) * all(x[k + 2]);
    d += load(m + (k + 3) * H) * all(x[k + 3]);
  }
  store(y, (a + b) + (c + d));
#else
  for (int at = 0; at < H; at += BLOCK * LANES) {
    vec a[BLOCK], b[BLOCK];
    for (int q = 0; q < BLOCK; q++) a[q] = load(y + at + q * LANES), b[q] = all(0);
    for (int k = 0; k < H; k += 2) {
      vec one = all(x[k]), two = all(x[k + 1]);
      for (int q = 0; q < BLOCK; q++) a[q] += load(m + k * H + at + q * LANES) * one;
      for (int q = 0; q < BLOCK; q++) b[q] += load(m + (k + 1) * H + at + q * LANES) * two;
    }
    for (int q = 0; q < BLOCK; q++) store(y + at + q * LANES, a[q] + b[q]);
  }
#endif
}

// y[k] = sum over i of m[k][i] x[i]
static inline void inner_products(const float *m, const float *x, float *y) {
  for (int k = 0; k < H; k += 8) {
    vec a[8];
    for (int q = 0; q < 8; q++) a[q] = all(0);
    for (int i = 0; i < H; i += LANES)
      for (int q = 0; q < 8; q++) a[q] += load(m + (k + q) * H + i) * load(x + i);
    for (int q = 0; q < 8; q++) y[k + q] = total(a[q]);
  }
}

// g[j][i] = sum over t of states[t][j] slopes[t][i]
static inline void outer_products(const float *states, const float *slopes, int T, float *g) {
#if VECTORS == 1
  vec a[H];
  for (int j = 0; j < H; j++) a[j] = all(0);
  for (int t = 0; t < T; t++)
    for (int j = 0; j < H; j++) a[j] += load(slopes + t * H) * all(states[t * H + j]);
  for (int j = 0; j < H; j++) store(g + j * H, a[j]);
#else
  for (int j = 0; j < H; j += 8)
    for (int i = 0; i < H; i += 2 * LANES) {
      vec a[8], b[8];
      for (int q = 0; q < 8; q++) a[q] = b[q] = all(0);
      for (int t = 0; t < T; t++) {
        vec one = load(slopes + t * H + i), two = load(slopes + t * H + i + LANES);
        for (int q = 0; q < 8; q++) {
          vec state = all(states[t * H + j + q]);
          a[q] += one * state, b[q] += two * state;
        }
      }
      for (int q = 0; q < 8; q++)
        store(g + (j + q) * H + i, a[q]), store(g + (j + q) * H + i + LANES, b[q]);
    }
#endif
}

typedef struct {
  float *params, *gradient, *first, *second, *mirror, *states, *slopes, *errors;
} Net;

static float *zeros(size_t count) {
  size_t bytes = (count * sizeof(float) + 63) / 64 * 64;
  float *p = aligned_alloc(64, bytes);
  if (!p) exit(1);
  return memset(p, 0, bytes);
}

static Net make_net(int T) {
  return (Net){zeros(PADDED), zeros(PADDED), zeros(PADDED), zeros(PADDED),
               zeros(H * H), zeros((size_t)(T + 1) * H), zeros((size_t)T * H), zeros(T)};
}

static float forward(Net *net, const float *x, int T) {
  float *p = net->params, bias[H] __attribute__((aligned(64))), loss = 0;
  for (int i = 0; i < H; i++) bias[i] = p[B_IH + i] + p[B_HH + i];
  for (int t = 0; t < T; t++) {
    float *before = net->states + t * H, *after = before + H;
    vec output = all(0);
    for (int i = 0; i < H; i += LANES)
      store(after + i, load(bias + i) + load(p + W_IN + i) * all(x[t]));
    add_product(p + W_REC, before, after);
    for (int i = 0; i < H; i += LANES) {
      vec state = fast_tanh(load(after + i));
      store(after + i, state);
      output += state * load(p + W_OUT + i);
    }
    float error = total(output) + p[B_OUT] - x[t + 1];
    net->errors[t] = error;
    loss += error * error;
  }
  return loss / T;
}

static void backward(Net *net, const float *x, int T) {
  float *p = net->params, *g = net->gradient, share = 2.0f / T, sum = 0;
  vec later[VECTORS], in[VECTORS], bias[VECTORS], out[VECTORS];
  for (int q = 0; q < VECTORS; q++) later[q] = in[q] = bias[q] = out[q] = all(0);
#if MIRRORED
  for (int j = 0; j < H; j++)
    for (int i = 0; i < H; i++) net->mirror[i * H + j] = p[W_REC + j * H + i];
#endif
  for (int t = T - 1; t >= 0; t--) {
    float error = net->errors[t] * share, *slope = net->slopes + t * H;
    float *after = net->states + (t + 1) * H, before[H] __attribute__((aligned(64)));
    sum += error;
    for (int q = 0; q < VECTORS; q++) {
      vec state = load(after + q * LANES);
      out[q] += all(error) * state;
      vec d = (later[q] + all(error) * load(p + W_OUT + q * LANES)) * (all(1) - state * state);
      store(slope + q * LANES, d);
      bias[q] += d, in[q] += d * all(x[t]);
      store(before + q * LANES, all(0));
    }
    if (t == 0) break;
#if MIRRORED
    add_product(net->mirror, slope, before);
#else
    inner_products(p + W_REC, slope, before);
#endif
    for (int q = 0; q < VECTORS; q++) later[q] = load(before + q * LANES);
  }
  for (int q = 0; q < VECTORS; q++) {
    store(g + W_IN + q * LANES, in[q]), store(g + W_OUT + q * LANES, out[q]);
    store(g + B_IH + q * LANES, bias[q]), store(g + B_HH + q * LANES, bias[q]);
  }
  g[B_OUT] = sum;
  outer_products(net->states, net->slopes, T, g + W_REC);
}

static void train(Net *net, int n, int T, const float *samples, const int *starts, float *losses) {
  double one = 1, two = 1;
  for (int k = 0; k < n; k++) {
    const float *x = samples + starts[k];
    losses[k] = forward(net, x, T);
    backward(net, x, T);
    memcpy(net->states, net->states + (size_t)T * H, H * sizeof(float));  // carried state
    one *= 0.9, two *= 0.999;
    float rate = 0.01 / (1 - one), scale = 1 / (1 - two);
    float *p = net->params, *g = net->gradient, *m = net->first, *v = net->second;
    for (int i = 0; i < PADDED; i++) {
      m[i] = 0.9f * m[i] + 0.1f * g[i];
      v[i] = 0.999f * v[i] + 0.001f * g[i] * g[i];
      p[i] -= m[i] * rate / (sqrtf(v[i] * scale) + 1e-8f);
    }
  }
}

static double seconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

int main(int count, char **arguments) {
  FILE *file = count == 2 ? fopen(arguments[1], "rb") : NULL;
  int size[4];
  if (!file || fread(size, 4, 4, file) != 4) return 2;
  int n = size[0], T = size[1], R = size[2], N = size[3];
  float *samples = zeros(N), *losses = zeros((size_t)n * R);
  int *starts = (int *)zeros(n);
  Net *nets = malloc(R * sizeof(Net));
  if (fread(samples, 4, N, file) != (size_t)N || fread(starts, 4, n, file) != (size_t)n) return 2;
  for (int r = 0; r < R; r++) {
    nets[r] = make_net(T);
    if (fread(nets[r].params, 4, COUNT, file) != COUNT) return 2;
  }
  double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
#pragma omp parallel for schedule(dynamic, 1) if (R > 1)
  for (int r = 0; r < R; r++) train(&nets[r], n, T, samples, starts, losses + (size_t)r * n);
  cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu, wall = seconds(CLOCK_MONOTONIC) - wall;
  printf("{\"processor_seconds\": %.9f, \"seconds\": %.9f, \"losses\": [", cpu, wall);
  for (int k = 0; k < n && k < 20; k++) printf("%s%.9g", k ? ", " : "", losses[k]);
  printf("]}\n");
}
