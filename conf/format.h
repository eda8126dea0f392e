/* What strings of the configuration may look like. */
#pragma once

#include "conf/schema.h"

extern const struct conf_format conf_format_name;      /* of a pool, node, ... */
extern const struct conf_format conf_format_interface; /* Linux: dev_valid_name() */
extern const struct conf_format conf_format_file;      /* an absolute path */
extern const struct conf_format conf_format_log_file;  /* that, or one that yoked has */
extern const struct conf_format conf_format_argument;  /* of a program */
extern const struct conf_format conf_format_url_path;
extern const struct conf_format conf_format_host;
extern const struct conf_format conf_format_source;   /* of connections: an address, or "client" */
extern const struct conf_format conf_format_cookie;   /* RFC 6265: a token */
extern const struct conf_format conf_format_alpn;     /* of a protocol: RFC 7301 */
extern const struct conf_format conf_format_protocol; /* RFC 9110: to switch to, by Upgrade */
extern const struct conf_format conf_format_host_pattern; /* of a route */
extern const struct conf_format conf_format_path_pattern;
extern const struct conf_format conf_format_pattern;       /* of a value */
extern const struct conf_format conf_format_key;           /* of a header, parameter or cookie */
extern const struct conf_format conf_format_token;         /* RFC 9110 */
extern const struct conf_format conf_format_field_name;    /* the same, as a field's name */
extern const struct conf_format conf_format_host_template; /* with variables: route/template.h */
extern const struct conf_format conf_format_path_template;
extern const struct conf_format conf_format_query_template;
extern const struct conf_format conf_format_rewrite;
extern const struct conf_format conf_format_field_value;
extern const struct conf_format conf_format_body;
extern const struct conf_format conf_format_health_body; /* a text, or ~ and an expression */
extern const struct conf_format conf_format_payload;     /* text with \xHH for bytes */
extern const struct conf_format conf_format_user;
