// Included by extmod/modtime.c: seconds since the machine was started, as a board without SNTP.

static mp_obj_t mp_time_time_get(void) {
    return mp_obj_new_int_from_uint(mp_hal_time_ns() / 1000000000);
}
