// The test machine's own ears and its own sense of time, independent of the daemon.
//   probe sleep MS COUNT               how much too late a realtime thread wakes: the machine's own noise
//   probe capture DEVICE SECONDS HZ    records a loopback and looks for anything in it that is not one steady sine
//   probe tones DEVICE SECONDS HZ...   records a loopback and tells the level of each of these frequencies in it
#define _GNU_SOURCE
#include <alsa/asoundlib.h>
#include <math.h>
#include <sched.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static int oversleep(double ms, int count) {
    struct sched_param p = {.sched_priority = 71};  // just above the audio thread: what it could at best have had
    sched_setscheduler(0, SCHED_FIFO, &p);
    struct timespec step = {(time_t)(ms / 1e3), fmod(ms, 1e3) * 1e6};
    double worst = 0, sum = 0;
    for (int i = 0; i < count; i++) {
        double t = now();
        nanosleep(&step, 0);
        double late = (now() - t) * 1e3 - ms;
        sum += late;
        if (late > worst) worst = late;
    }
    printf("{\"worst_ms\": %.3f, \"mean_ms\": %.3f}\n", worst, sum / count);
    return 0;
}

static double sample(const unsigned char *p, snd_pcm_format_t format) {
    switch (format) {
        case SND_PCM_FORMAT_S16_LE: return *(const int16_t *)p / 32768.0;
        case SND_PCM_FORMAT_S24_LE: return (int32_t)(*(const uint32_t *)p << 8) / 2147483648.0;
        case SND_PCM_FORMAT_S24_3LE: return (int32_t)((uint32_t)p[0] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 24) / 2147483648.0;
        case SND_PCM_FORMAT_S32_LE: return *(const int32_t *)p / 2147483648.0;
        default: return *(const float *)p;
    }
}

struct sound {
    unsigned char *data;
    long frames;
    unsigned channels, rate;
    snd_pcm_format_t format;
    int width, overruns;
};

static double at(const struct sound *s, long frame) {
    return sample(s->data + frame * s->width * s->channels, s->format);
}

static int record(const char *device, double length, struct sound *s) {
    static const snd_pcm_format_t formats[] = {SND_PCM_FORMAT_S32_LE, SND_PCM_FORMAT_FLOAT_LE, SND_PCM_FORMAT_S24_LE,
                                               SND_PCM_FORMAT_S24_3LE, SND_PCM_FORMAT_S16_LE};
    snd_pcm_t *pcm;
    snd_pcm_hw_params_t *hw;
    snd_pcm_hw_params_alloca(&hw);
    int r = snd_pcm_open(&pcm, device, SND_PCM_STREAM_CAPTURE, 0);
    if (r < 0) return fprintf(stderr, "open %s: %s\n", device, snd_strerror(r)), 1;
    snd_pcm_hw_params_any(pcm, hw);
    snd_pcm_hw_params_set_access(pcm, hw, SND_PCM_ACCESS_RW_INTERLEAVED);
    // the loopback only offers what its other side is playing
    *s = (struct sound){.channels = 2, .rate = 48000, .format = SND_PCM_FORMAT_UNKNOWN};
    for (int i = 0; i < 5 && s->format == SND_PCM_FORMAT_UNKNOWN; i++)
        if (!snd_pcm_hw_params_set_format(pcm, hw, formats[i])) s->format = formats[i];
    snd_pcm_uframes_t buffer = 48000;
    snd_pcm_hw_params_set_channels_near(pcm, hw, &s->channels);
    snd_pcm_hw_params_set_rate_near(pcm, hw, &s->rate, 0);
    snd_pcm_hw_params_set_buffer_size_near(pcm, hw, &buffer);
    if ((r = snd_pcm_hw_params(pcm, hw)) < 0) return fprintf(stderr, "hw_params: %s\n", snd_strerror(r)), 1;
    s->width = snd_pcm_format_physical_width(s->format) / 8;
    s->frames = length * s->rate;
    s->data = calloc(s->frames, (size_t)s->width * s->channels);
    snd_pcm_start(pcm);
    for (long done = 0; done < s->frames;) {
        long chunk = s->frames - done < 1024 ? s->frames - done : 1024;
        long n = snd_pcm_readi(pcm, s->data + done * s->width * s->channels, chunk);
        if (n == -EPIPE && ++s->overruns < 10) { snd_pcm_prepare(pcm); snd_pcm_start(pcm); continue; }
        if (n < 0) return fprintf(stderr, "read: %s\n", snd_strerror(n)), 1;
        done += n;
    }
    snd_pcm_close(pcm);
    return 0;
}

static int capture(const char *device, double length, double hz) {
    struct sound s;
    if (record(device, length, &s)) return 1;
    // Two samples of a sine foretell the third; whatever jumps, drops out or repeats breaks that rule.
    long skip = s.rate / 10, clicks = 0, first = -1, silent = 0, longest = 0;
    double w = 2 * cos(2 * M_PI * hz / s.rate), a = 0, b = 0, peak = 0, power = 0, worst = 0;
    for (long i = skip; i < s.frames; i++) peak = fmax(peak, fabs(at(&s, i)));
    for (long i = skip, calm = 0; i < s.frames; i++) {
        double x = at(&s, i), error = fabs(x - w * a + b);
        power += x * x;
        silent = fabs(x) < 1e-3 ? silent + 1 : 0;
        if (silent > longest) longest = silent;
        if (i > skip + 1) {
            worst = fmax(worst, error);
            // one fault is seen by a few neighbours: count it once
            if (error > 0.02 * peak && i > calm) { clicks++; calm = i + 64; if (first < 0) first = i; }
        }
        b = a;
        a = x;
    }
    printf("{\"frames\": %ld, \"rate\": %u, \"format\": \"%s\", \"rms_dbfs\": %.2f, \"clicks\": %ld, \"first\": %ld, \"worst\": %.5f, \"longest_silence\": %ld, \"overruns\": %d}\n",
           s.frames - skip, s.rate, snd_pcm_format_name(s.format), 10 * log10(power / (s.frames - skip) + 1e-20), clicks, first, worst, longest, s.overruns);
    return 0;
}

static int tones(const char *device, double length, int count, char **hz) {
    struct sound s;
    if (record(device, length, &s)) return 1;
    printf("{\"overruns\": %d, \"dbfs\": [", s.overruns);
    for (int k = 0; k < count; k++) {
        double re = 0, im = 0, weight = 0, step = 2 * M_PI * atof(hz[k]) / s.rate;
        for (long i = 0; i < s.frames; i++) {
            double w = 0.5 - 0.5 * cos(2 * M_PI * i / s.frames), x = at(&s, i) * w;
            re += x * cos(step * i), im += x * sin(step * i), weight += w;
        }
        printf("%s%.1f", k ? ", " : "", 20 * log10(2 * hypot(re, im) / weight + 1e-10));
    }
    printf("]}\n");
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "sleep")) return oversleep(atof(argv[2]), atoi(argv[3]));
    if (argc == 5 && !strcmp(argv[1], "capture")) return capture(argv[2], atof(argv[3]), atof(argv[4]));
    if (argc >= 5 && !strcmp(argv[1], "tones")) return tones(argv[2], atof(argv[3]), argc - 4, argv + 4);
    return 2;
}
