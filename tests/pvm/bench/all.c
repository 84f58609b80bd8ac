/* all.c - the numeric rows of `make bench-pvm` in C: what a machine language's compiler makes of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void intloop(int count)
{
        int s = 0;

        for (int i = 0; i < count; i++)
                s += (i & 7) * 3;
        printf("%d\n", s);
}

static void floatloop(int count)
{
        double s = 0;

        for (int i = 1; i < count; i++)
                s += 1.0 / i;
        printf("%.17g\n", s);
}

static void sieve(int count)
{
        int *a = malloc(1000000 * sizeof(*a)), c = 0;

        for (int j = 0; j < count; j++) {
                for (int i = 0; i < 1000000; i++)
                        a[i] = 1;
                for (int i = 2; i * i < 1000000; i++)
                        if (a[i])
                                for (int k = i * i; k < 1000000; k += i)
                                        a[k] = 0;
        }
        for (int i = 2; i < 1000000; i++)
                c += a[i] != 0;
        printf("%d\n", c);
        free(a);
}

static void matmul(int count)
{
        int n = 300;
        double *a = malloc((size_t)n * n * sizeof(*a)), *b = malloc((size_t)n * n * sizeof(*b)),
               *c = malloc((size_t)n * n * sizeof(*c));

        for (int i = 0; i < n * n; i++) {
                a[i] = i;
                b[i] = i * 2;
                c[i] = 0;
        }
        for (int m = 0; m < count; m++)
                for (int i = 0; i < n; i++)
                        for (int j = 0; j < n; j++) {
                                double s = 0;

                                for (int k = 0; k < n; k++)
                                        s += a[i * n + k] * b[k * n + j];
                                c[i * n + j] = s;
                        }
        printf("%.17g\n", c[n * n - 1]);
        free(a);
        free(b);
        free(c);
}

static struct body {
        double x, y, z, vx, vy, vz, mass;
} bodies[] = {
        {0, 0, 0, 0, 0, 0, 39.47},
        {4.84, -1.16, 0.1, 0.6, 2.81, 0.02, 0.037},
        {8.34, 4.12, 0.4, -1.01, 1.82, 0.008, 0.011},
        {12.89, -15.11, 0.22, 1.08, 0.86, 0.01, 0.0017},
        {15.37, -25.9, 0.17, 0.97, 0.59, 0.03, 0.002},
};

static void advance(double dt)
{
        for (int i = 0; i < 5; i++) {
                struct body *a = &bodies[i];

                for (int j = i + 1; j < 5; j++) {
                        struct body *b = &bodies[j];
                        double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z, d2 = dx * dx + dy * dy + dz * dz,
                               mag = dt / (d2 * d2);

                        a->vx -= dx * b->mass * mag;
                        a->vy -= dy * b->mass * mag;
                        a->vz -= dz * b->mass * mag;
                        b->vx += dx * a->mass * mag;
                        b->vy += dy * a->mass * mag;
                        b->vz += dz * a->mass * mag;
                }
        }
        for (int i = 0; i < 5; i++) {
                bodies[i].x += dt * bodies[i].vx;
                bodies[i].y += dt * bodies[i].vy;
                bodies[i].z += dt * bodies[i].vz;
        }
}

static void nbody(int count)
{
        for (int i = 0; i < count; i++)
                advance(0.01);
        printf("%.17g\n", bodies[0].x);
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                void (*run)(int count);
        } rows[] = {
                {"intloop", intloop}, {"floatloop", floatloop}, {"sieve", sieve}, {"matmul", matmul}, {"nbody", nbody}};

        for (unsigned i = 0; argc == 3 && i < sizeof(rows) / sizeof(rows[0]); i++)
                if (!strcmp(argv[1], rows[i].name))
                        rows[i].run(atoi(argv[2]));
        return argc != 3;
}
