/* options.c - getsockopt and setsockopt for AF_UNIX: level SOL_SOCKET alone. */
#include "posix/socket/socket_internal.h"
#include <asm/socket.h>
#include <linux/time_types.h>

#define BUF_MIN 4608u   /* SOCK_MIN_SNDBUF, about; Linux doubles what is asked for its own bookkeeping */
#define BUF_MAX 212992u /* net.core.wmem_max */

static long set_timeout(struct call *c, uint64_t *ns, uint64_t user, uint64_t len)
{
        int64_t tv[2];

        if (len < sizeof(tv))
                return -EINVAL;
        if (!copy_in(c, tv, user, sizeof(tv)))
                return user_fault(c);
        if (tv[1] < 0 || tv[1] >= 1000000)
                return -EDOM;
        changes(c);
        if (tv[0] < 0)
                *ns = 1; /* as Linux: no wait at all */
        else
                *ns = (uint64_t)MIN(tv[0], (int64_t)1 << 32) * NSEC_PER_SEC + (uint64_t)tv[1] * 1000;
        return 0;
}

static uint8_t *flag_of(struct sock *s, int name)
{
        switch (name) {
        case SO_DEBUG:
                return &s->debug;
        case SO_REUSEADDR:
                return &s->reuse;
        case SO_DONTROUTE:
                return &s->dont_route;
        case SO_BROADCAST:
                return &s->broadcast;
        case SO_KEEPALIVE:
                return &s->keepalive;
        case SO_OOBINLINE:
                return &s->oob_inline;
        case SO_NO_CHECK:
                return &s->no_check;
        case SO_PASSCRED:
                return &s->pass_cred;
        default:
                return NULL;
        }
}

static long set_buffer(struct call *c, uint32_t *field, int value, bool force)
{
        uint32_t v = (uint32_t)MAX(value, 0);

        if (force && !capable(CAP_NET_ADMIN))
                return -EPERM;
        if (!force)
                v = MIN(v, BUF_MAX);
        v = MIN(v, 1u << 30) * 2;
        changes(c);
        *field = MAX(v, BUF_MIN);
        return 0;
}

long sys_setsockopt(struct call *c)
{
        int name = (int)c->arg[2], value;
        struct file *f;
        struct sock *s;
        uint8_t *flag;
        long r;

        s = sock_of(c, c->arg[0], &f, &r);
        if (!s)
                return r;
        if ((int)c->arg[4] < 0)
                return -EINVAL;
        if ((int)c->arg[1] != SOL_SOCKET)
                return -EOPNOTSUPP;
        if (name == SO_RCVTIMEO_OLD || name == SO_RCVTIMEO_NEW)
                return set_timeout(c, &s->rcvtimeo_ns, c->arg[3], c->arg[4]);
        if (name == SO_SNDTIMEO_OLD || name == SO_SNDTIMEO_NEW)
                return set_timeout(c, &s->sndtimeo_ns, c->arg[3], c->arg[4]);
        if (c->arg[4] < sizeof(int))
                return -EINVAL;
        if (!copy_in(c, &value, c->arg[3], sizeof(value)))
                return user_fault(c);
        flag = flag_of(s, name);
        if (flag) {
                if (name == SO_DEBUG && value && !capable(CAP_NET_ADMIN))
                        return -EACCES;
                changes(c);
                *flag = value != 0;
                return 0;
        }
        switch (name) {
        case SO_SNDBUF:
        case SO_SNDBUFFORCE:
                return set_buffer(c, &s->sndbuf, value, name == SO_SNDBUFFORCE);
        case SO_RCVBUF:
        case SO_RCVBUFFORCE:
                return set_buffer(c, &s->rcvbuf, value, name == SO_RCVBUFFORCE);
        case SO_PRIORITY:
                if ((value < 0 || value > 6) && !capable(CAP_NET_ADMIN))
                        return -EPERM;
                changes(c);
                s->priority = value;
                return 0;
        case SO_RCVLOWAT:
                changes(c);
                s->rcvlowat = value < 0 ? 0x7fffffff : value ? value : 1;
                return 0;
        case SO_PEEK_OFF:
                changes(c);
                s->peek_off = value;
                return 0;
        case SO_LINGER: {
                int linger[2];

                if (c->arg[4] < sizeof(linger))
                        return -EINVAL;
                if (!copy_in(c, linger, c->arg[3], sizeof(linger)))
                        return user_fault(c);
                changes(c);
                s->linger_on = linger[0] != 0;
                s->linger_s = linger[1];
                return 0;
        }
        default:
                return -ENOPROTOOPT;
        }
}

struct option {
        union {
                int value;
                int64_t pair[2];
                int linger[2];
                struct peer_cred cred;
        };
        size_t len;
};

static long get_option(struct sock *s, int name, struct option *o)
{
        uint8_t *flag = flag_of(s, name);

        o->len = sizeof(int);
        if (flag) {
                o->value = *flag;
                return 0;
        }
        switch (name) {
        case SO_TYPE:
                o->value = s->type;
                return 0;
        case SO_DOMAIN:
                o->value = AF_UNIX;
                return 0;
        case SO_PROTOCOL:
                o->value = 0;
                return 0;
        case SO_SNDBUF:
                o->value = (int)s->sndbuf;
                return 0;
        case SO_RCVBUF:
                o->value = (int)s->rcvbuf;
                return 0;
        case SO_PRIORITY:
                o->value = s->priority;
                return 0;
        case SO_RCVLOWAT:
                o->value = s->rcvlowat;
                return 0;
        case SO_SNDLOWAT:
                o->value = 1;
                return 0;
        case SO_PEEK_OFF:
                o->value = s->peek_off;
                return 0;
        case SO_ACCEPTCONN:
                o->value = s->state == SOCK_LISTENING;
                return 0;
        case SO_ERROR:
                o->value = s->error;
                return 0;
        case SO_LINGER:
                o->linger[0] = s->linger_on;
                o->linger[1] = s->linger_s;
                o->len = sizeof(o->linger);
                return 0;
        case SO_RCVTIMEO_OLD:
        case SO_RCVTIMEO_NEW:
        case SO_SNDTIMEO_OLD:
        case SO_SNDTIMEO_NEW: {
                uint64_t ns = name == SO_RCVTIMEO_OLD || name == SO_RCVTIMEO_NEW ? s->rcvtimeo_ns : s->sndtimeo_ns;

                o->pair[0] = (int64_t)(ns / NSEC_PER_SEC);
                o->pair[1] = (int64_t)(ns % NSEC_PER_SEC / 1000);
                o->len = sizeof(o->pair);
                return 0;
        }
        case SO_PEERCRED:
                o->cred = s->has_peer_cred ? s->peer_cred : (struct peer_cred){0, ~0u, ~0u};
                o->len = sizeof(o->cred);
                return 0;
        default:
                return -ENOPROTOOPT;
        }
}

long sys_getsockopt(struct call *c)
{
        int name = (int)c->arg[2], len;
        struct option o = {0};
        struct file *f;
        struct sock *s;
        long r;

        s = sock_of(c, c->arg[0], &f, &r);
        if (!s)
                return r;
        if ((int)c->arg[1] != SOL_SOCKET)
                return -EOPNOTSUPP;
        if (!copy_in(c, &len, c->arg[4], sizeof(len)))
                return user_fault(c);
        if (len < 0)
                return -EINVAL;
        r = get_option(s, name, &o);
        if (r)
                return r;
        len = (int)MIN((size_t)len, o.len);
        if (!copy_out(c, c->arg[3], &o, (size_t)len) || !copy_out(c, c->arg[4], &len, sizeof(len)))
                return user_fault(c);
        if (name == SO_ERROR && o.value) {
                changes(c);
                s->error = 0;
        }
        return 0;
}
