// For the headers of the system's mbedTLS: without its log, which modtls would print at level 3.

#undef MBEDTLS_DEBUG_C
