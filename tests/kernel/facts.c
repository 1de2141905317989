// What the kernel's drivers do when a player is late or its card is pulled out: `tests/kernel/run --facts`.
// Prints what it sees and judges nothing. The daemon's output relies on these answers.
#define _GNU_SOURCE
#include <alsa/asoundlib.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <time.h>

enum { RATE = 48000, PERIOD = 1024, BUFFER = 3072 };
static snd_pcm_t *pcm;
static snd_pcm_uframes_t boundary;
static short block[RATE * 2];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void nap(double s) {
    struct timespec t = {(time_t)s, (long)((s - (time_t)s) * 1e9)};
    nanosleep(&t, 0);
}

static double seconds(snd_htimestamp_t t) { return t.tv_sec + t.tv_nsec * 1e-9; }

static const char *name(long r) {
    static char text[4][64];
    static int i;
    char *s = text[i++ & 3];
    if (r >= 0) snprintf(s, 64, "%ld", r);
    else snprintf(s, 64, "%ld (%s)", r, r == -ENODEV ? "ENODEV" : r == -EPIPE ? "EPIPE" : r == -EBADFD ? "EBADFD"
                  : r == -EAGAIN ? "EAGAIN" : r == -ESTRPIPE ? "ESTRPIPE" : r == -EIO ? "EIO" : strerror(-r));
    return s;
}

static int setup(const char *device, int go_on, int silence, int mode) {
    int r = snd_pcm_open(&pcm, device, SND_PCM_STREAM_PLAYBACK, mode);
    if (r < 0) return printf("open %s: %s\n", device, name(r)), r;
    snd_pcm_hw_params_t *hw;
    snd_pcm_sw_params_t *sw;
    snd_pcm_hw_params_alloca(&hw);
    snd_pcm_sw_params_alloca(&sw);
    unsigned rate = RATE;
    snd_pcm_uframes_t period = PERIOD, buffer = BUFFER;
    snd_pcm_hw_params_any(pcm, hw);
    snd_pcm_hw_params_set_access(pcm, hw, SND_PCM_ACCESS_RW_INTERLEAVED);
    snd_pcm_hw_params_set_format(pcm, hw, SND_PCM_FORMAT_S16_LE);
    snd_pcm_hw_params_set_channels(pcm, hw, 2);
    snd_pcm_hw_params_set_rate_near(pcm, hw, &rate, 0);
    snd_pcm_hw_params_set_period_size_near(pcm, hw, &period, 0);
    snd_pcm_hw_params_set_buffer_size_near(pcm, hw, &buffer);
    if ((r = snd_pcm_hw_params(pcm, hw)) < 0) return printf("hw_params: %s\n", name(r)), r;
    snd_pcm_sw_params_current(pcm, sw);
    snd_pcm_sw_params_get_boundary(sw, &boundary);
    int a = go_on ? snd_pcm_sw_params_set_stop_threshold(pcm, sw, boundary) : 0;
    int b = silence ? snd_pcm_sw_params_set_silence_threshold(pcm, sw, 0) : 0;
    int c = silence ? snd_pcm_sw_params_set_silence_size(pcm, sw, boundary) : 0;
    snd_pcm_sw_params_set_start_threshold(pcm, sw, buffer);
    snd_pcm_sw_params_set_avail_min(pcm, sw, period);
    snd_pcm_sw_params_set_tstamp_mode(pcm, sw, SND_PCM_TSTAMP_ENABLE);
    int t = snd_pcm_sw_params_set_tstamp_type(pcm, sw, SND_PCM_TSTAMP_TYPE_MONOTONIC);
    r = snd_pcm_sw_params(pcm, sw);
    printf("%s: period %lu buffer %lu rate %u boundary %lu; stop_threshold=boundary %s, silence %s %s, monotonic %s, sw_params %s\n",
           device, period, buffer, rate, boundary, name(a), name(b), name(c), name(t), name(r));
    return r;
}

static void say(const char *label) {
    snd_pcm_status_t *s;
    snd_pcm_status_alloca(&s);
    snd_pcm_sframes_t delay = -1, avail = snd_pcm_avail(pcm);
    double t = now();
    int d = snd_pcm_delay(pcm, &delay), r = snd_pcm_status(pcm, s);
    printf("  %-26s state %s avail %s delay %s", label, snd_pcm_state_name(snd_pcm_state(pcm)), name(avail), d < 0 ? name(d) : "");
    if (d >= 0) printf("%ld", delay);  // below zero: that long ago it should have been written
    if (r < 0) printf(" status %s\n", name(r));
    else printf(" | status: %s avail %lu max %lu delay %ld trigger %.4f s ago, stamp %.1f ms ago\n", snd_pcm_state_name(snd_pcm_status_get_state(s)),
               snd_pcm_status_get_avail(s), snd_pcm_status_get_avail_max(s), snd_pcm_status_get_delay(s),
               t - ({ snd_htimestamp_t h; snd_pcm_status_get_trigger_htstamp(s, &h); seconds(h); }),
               1e3 * (t - ({ snd_htimestamp_t h; snd_pcm_status_get_htstamp(s, &h); seconds(h); })));
}

// The played clock is what was written, forwarded too, less what is still to be heard.
static double start;
static long written;
static void account(const char *label) {
    snd_pcm_sframes_t avail = snd_pcm_avail(pcm);
    double t = now();
    if (avail < 0) return;
    double played = written + avail - BUFFER;
    printf("  %-26s hardware pointer against clock: %+.1f frames (played %.0f in %.4f s)\n", label, played - (t - start) * RATE, played, t - start);
}

static void play(double s) {
    double end = now() + s;
    while (now() < end) {
        int w = snd_pcm_wait(pcm, 1000);
        if (w < 0) { printf("  wait: %s\n", name(w)); return; }
        long r = snd_pcm_writei(pcm, block, PERIOD);
        if (r < 0) { printf("  writei: %s\n", name(r)); return; }
        written += r;
    }
}

static void fill(void) {
    written = 0;
    for (int i = 0; i < BUFFER / PERIOD; i++) {
        long r = snd_pcm_writei(pcm, block, PERIOD);
        if (r > 0) written += r;
    }
    start = now();
}

// recovery: w = write on as if nothing had happened; f = forward by what was lost, then write; r = drop and start anew; n = the same with a nap between; d = default thresholds
// Does the card keep time? Prints where its pointer is against the monotonic clock, once a second.
static void steady(const char *device, int go_on, int length) {
    printf("-- steady, stop_threshold %s\n", go_on ? "boundary" : "default");
    if (setup(device, go_on, go_on, 0) < 0) return;
    fill();
    printf("  against the clock:");
    for (int i = 0; i < length; i++) {
        play(1);
        double t = now();
        printf(" %+.0f", written + snd_pcm_avail(pcm) - BUFFER - (t - start) * RATE);
    }
    puts("");
    snd_pcm_close(pcm);
}

static void again(const char *device, int go_on, double rest) {
    printf("-- drop, %.0f ms, prepare, start; stop_threshold %s\n", rest * 1e3, go_on ? "boundary" : "default");
    if (setup(device, go_on, go_on, 0) < 0) return;
    for (int i = 0; i < 3; i++) {
        fill();
        play(0.5);
        account(i ? "started again" : "started");
        printf("  drop %s ", name(snd_pcm_drop(pcm)));
        nap(rest);
        printf("prepare %s\n", name(snd_pcm_prepare(pcm)));
    }
    snd_pcm_close(pcm);
}

static void stall(const char *device, char recovery, int silence) {
    printf("-- stall 300 ms, recovery %c, silence %d\n", recovery, silence);
    if (setup(device, recovery != 'd', silence, 0) < 0) return;
    fill();
    play(0.6);
    account("before");
    snd_pcm_sframes_t was = snd_pcm_avail(pcm);
    double t0 = now();
    nap(0.3);
    snd_pcm_sframes_t is = snd_pcm_avail(pcm);
    double t1 = now(), due = (t1 - t0) * RATE;
    printf("  stalled %.2f ms = %.1f frames; avail %ld -> %s: grew by %ld, off by %.1f\n", (t1 - t0) * 1e3, due, was, name(is), is - was, is - was - due);
    say("after the stall");
    if (recovery == 'w') {
        for (int i = 0; i < 16; i++) {
            double a = now();
            long r = snd_pcm_writei(pcm, block, PERIOD);
            if (r > 0) written += r;
            printf("  writei %s in %.2f ms, avail now %s\n", name(r), (now() - a) * 1e3, name(snd_pcm_avail(pcm)));
            if (now() - a > 0.01) break;
        }
    } else if (recovery == 'f') {
        snd_pcm_sframes_t avail = snd_pcm_avail(pcm), lost = avail - BUFFER;
        double a = now();
        printf("  forwardable %s rewindable %s; ", name(snd_pcm_forwardable(pcm)), name(snd_pcm_rewindable(pcm)));
        long r = snd_pcm_forward(pcm, lost);
        if (r > 0) written += r;
        printf("forward(%ld) = %s in %.2f ms, avail now %s\n", lost, name(r), (now() - a) * 1e3, name(snd_pcm_avail(pcm)));
        for (int i = 0; i < 3; i++) {
            r = snd_pcm_writei(pcm, block, PERIOD);
            if (r > 0) written += r;
            printf("  writei %s, avail now %s\n", name(r), name(snd_pcm_avail(pcm)));
        }
    } else {
        long r = snd_pcm_writei(pcm, block, PERIOD);
        printf("  writei in that state: %s\n", name(r));
        double a = now();
        if (recovery == 'r' || recovery == 'n') printf("  drop %s ", name(snd_pcm_drop(pcm)));
        if (recovery == 'n') nap(0.05);
        printf("  prepare %s in %.2f ms\n", name(snd_pcm_prepare(pcm)), (now() - a) * 1e3);
        fill();
        printf("  playing again %.2f ms after\n", (now() - a) * 1e3);
    }
    say("recovered");
    account("recovered");
    play(0.5);
    account("half a second later");
    if (snd_pcm_avail(pcm) == 0) {  // it stands still
        say("stands still?");
        printf("  drop %s prepare %s\n", name(snd_pcm_drop(pcm)), name(snd_pcm_prepare(pcm)));
        fill();
        play(0.5);
        account("after another start");
    }
    snd_pcm_close(pcm);
}

// h[ow it waits]: p = snd_pcm_wait and a non-blocking write; b = blocking write; a = looks at avail every 5 ms; r = raw poll
static void unplug(const char *device, char how) {
    printf("-- waiting for the card to go, by %c\n", how);
    for (int i = 0; setup(device, 1, 1, how == 'b' ? 0 : SND_PCM_NONBLOCK) < 0 && i < 50; i++) nap(0.1);
    fill();
    struct pollfd fd[4];
    int n = snd_pcm_poll_descriptors(pcm, fd, 4);
    double a, b = 0, begin = now();
    long r = 0;
    int w = 0;
    unsigned short raw = 0, cooked = 0;
    puts("@playing");
    fflush(stdout);
    do {
        a = now();
        if (how == 'p') w = snd_pcm_wait(pcm, 1000);
        if (how == 'a') { nap(0.005); w = 1; }
        if (how == 'r') {
            w = poll(fd, n, 1000);
            raw = fd[0].revents;
            snd_pcm_poll_descriptors_revents(pcm, fd, n, &cooked);
            if (raw & (POLLERR | POLLHUP | POLLNVAL)) break;
        }
        b = now();
        if (w < 0 || (w == 0 && how != 'b')) break;
        r = snd_pcm_avail(pcm);
        if (r >= PERIOD || how == 'b') r = snd_pcm_writei(pcm, block, PERIOD);
    } while (r >= 0 && now() - begin < 30);
    double t = now();
    printf("  first sign: wait %s (%.1f ms in it), poll raw 0x%x cooked 0x%x, avail/writei %s (%.1f ms in it)\n", name(w), (b - a) * 1e3, raw, cooked, name(r), (t - b) * 1e3);
    snd_pcm_sframes_t delay = 0;
    snd_pcm_status_t *s;
    snd_pcm_status_alloca(&s);
    for (int i = 0; i < 2; i++) {
        printf("  state %s, avail %s, ", snd_pcm_state_name(snd_pcm_state(pcm)), name(snd_pcm_avail(pcm)));
        printf("avail_update %s, ", name(snd_pcm_avail_update(pcm)));
        printf("delay %s, status %s, ", name(snd_pcm_delay(pcm, &delay)), name(snd_pcm_status(pcm, s)));
        w = poll(fd, n, 200);
        printf("poll %d revents 0x%x, ", w, fd[0].revents);
        printf("wait %s, writei %s, ", name(snd_pcm_wait(pcm, 200)), name(snd_pcm_writei(pcm, block, PERIOD)));
        printf("forward %s, prepare %s, ", name(snd_pcm_forward(pcm, 16)), name(snd_pcm_prepare(pcm)));
        printf("recover %s, drop %s\n", name(snd_pcm_recover(pcm, -ENODEV, 1)), i ? name(snd_pcm_drop(pcm)) : "-");
        if (!i) nap(0.5);
    }
    a = now();
    r = snd_pcm_close(pcm);
    printf("  close %s in %.1f ms\n", name(r), (now() - a) * 1e3);
    r = snd_pcm_open(&pcm, device, SND_PCM_STREAM_PLAYBACK, SND_PCM_NONBLOCK);
    printf("  open again without the card: %s\n", name(r));
}

// Records the other side of the loopback and prints the stretches that hold the same value: silence or what was played.
static void listen(const char *device, double s) {
    int r = snd_pcm_open(&pcm, device, SND_PCM_STREAM_CAPTURE, 0);
    if (r >= 0) r = snd_pcm_set_params(pcm, SND_PCM_FORMAT_S16_LE, SND_PCM_ACCESS_RW_INTERLEAVED, 2, RATE, 0, 500000);
    if (r < 0) { printf("  listen %s: %s\n", device, name(r)); return; }
    snd_pcm_start(pcm);  // the simple set-up starts by itself only for reads as long as the buffer
    long at = 0, since = 0, end = s * RATE, patience = 9;
    int value = -1;
    printf("  heard:");
    while (at < end) {
        long n = snd_pcm_readi(pcm, block, 480);
        if (n < 0) { printf(" [read %s at %ld]", name(n), at); if (snd_pcm_prepare(pcm) < 0 || !--patience) break; continue; }
        for (long i = 0; i < n; i++, at++) {
            int v = block[2 * i] != 0;
            if (v != value) {
                if (at - since > 0) printf(" %ld %s,", at - since, value ? "sound" : "silence");
                since = at;
                value = v;
            }
        }
    }
    printf(" %ld %s\n", at - since, value ? "sound" : "silence");
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    setvbuf(stdout, 0, _IOLBF, 0);
    struct sched_param p = {.sched_priority = 70};
    if (sched_setscheduler(0, SCHED_FIFO, &p)) puts("no SCHED_FIFO");
    for (int i = 0; i < RATE * 2; i++) block[i] = 1000;
    if (!strcmp(argv[1], "stall")) for (char *c = argv[3]; *c; c++) stall(argv[2], *c, argc > 4 ? atoi(argv[4]) : 1);
    if (!strcmp(argv[1], "steady")) steady(argv[2], 1, atoi(argv[3])), steady(argv[2], 0, atoi(argv[3]));
    if (!strcmp(argv[1], "again")) for (int i = 0; i < 6; i++) again(argv[2], i & 1, (double[]){0, 0.05, 0.3}[i / 2]);
    if (!strcmp(argv[1], "unplug")) unplug(argv[2], argv[3][0]);
    if (!strcmp(argv[1], "listen")) listen(argv[2], atof(argv[3]));
}
