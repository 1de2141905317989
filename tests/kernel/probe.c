// The test machine's own ears and its own sense of time, independent of the daemon.
//   probe sleep MS COUNT               how much too late a realtime thread wakes: the machine's own noise
//   probe capture DEVICE SECONDS HZ    records a loopback and looks for anything in it that is not one steady sine
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

static int capture(const char *device, double length, double hz) {
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
    snd_pcm_format_t format = SND_PCM_FORMAT_UNKNOWN;
    for (int i = 0; i < 5 && format == SND_PCM_FORMAT_UNKNOWN; i++)
        if (!snd_pcm_hw_params_set_format(pcm, hw, formats[i])) format = formats[i];
    unsigned channels = 2, rate = 48000;
    snd_pcm_uframes_t buffer = 48000;
    snd_pcm_hw_params_set_channels_near(pcm, hw, &channels);
    snd_pcm_hw_params_set_rate_near(pcm, hw, &rate, 0);
    snd_pcm_hw_params_set_buffer_size_near(pcm, hw, &buffer);
    if ((r = snd_pcm_hw_params(pcm, hw)) < 0) return fprintf(stderr, "hw_params: %s\n", snd_strerror(r)), 1;
    int width = snd_pcm_format_physical_width(format) / 8;
    long total = length * rate, at = 0;
    unsigned char *data = calloc(total, (size_t)width * channels);
    int overruns = 0;
    snd_pcm_start(pcm);
    while (at < total) {
        long chunk = total - at < 1024 ? total - at : 1024;
        long n = snd_pcm_readi(pcm, data + at * width * channels, chunk);
        if (n == -EPIPE && ++overruns < 10) { snd_pcm_prepare(pcm); snd_pcm_start(pcm); continue; }
        if (n < 0) return fprintf(stderr, "read: %s\n", snd_strerror(n)), 1;
        at += n;
    }
    snd_pcm_close(pcm);
    // Two samples of a sine foretell the third; whatever jumps, drops out or repeats breaks that rule.
    long skip = rate / 10, clicks = 0, first = -1, silent = 0, longest = 0;
    double w = 2 * cos(2 * M_PI * hz / rate), a = 0, b = 0, peak = 0, power = 0, worst = 0;
    for (long i = skip; i < total; i++) peak = fmax(peak, fabs(sample(data + i * width * channels, format)));
    for (long i = skip, calm = 0; i < total; i++) {
        double x = sample(data + i * width * channels, format), error = fabs(x - w * a + b);
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
           total - skip, rate, snd_pcm_format_name(format), 10 * log10(power / (total - skip) + 1e-20), clicks, first, worst, longest, overruns);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "sleep")) return oversleep(atof(argv[2]), atoi(argv[3]));
    if (argc == 5 && !strcmp(argv[1], "capture")) return capture(argv[2], atof(argv[3]), atof(argv[4]));
    return 2;
}
