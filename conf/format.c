#include "conf/format.h"

#include <string.h>
#include <strings.h>

#include "conf/conf.h"
#include "daemon/route/names.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define LETTER LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT  "0123456789"
#define TOKEN  LETTER DIGIT "!#$%&'*+.^_`|~-" /* RFC 9110 */

#define TOKEN_PATTERN "[A-Za-z0-9!#$%&'*+.^_`|~-]+"

static bool only(const char *text, const char *set)
{
	return *text && text[strspn(text, set)] == '\0';
}

/* Printable ASCII without blanks. */
static bool visible(const char *text)
{
	for (; *text; text++) {
		if (*text <= ' ' || *text >= 0x7f)
			return false;
	}
	return true;
}

static bool is_name(const char *text)
{
	return only(text, LETTER DIGIT "_.-");
}

static bool is_interface(const char *text)
{
	return *text && visible(text) && !strpbrk(text, "/:") && strcmp(text, ".") != 0 &&
	       strcmp(text, "..") != 0;
}

static bool is_argument(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	}
	return true;
}

static bool is_file(const char *text)
{
	return text[0] == '/' && text[1] != '\0' && is_argument(text);
}

static bool is_log_file(const char *text)
{
	return is_file(text) || strcmp(text, "stdout") == 0 || strcmp(text, "stderr") == 0;
}

static bool is_url_path(const char *text)
{
	return text[0] == '/' && visible(text) && !strchr(text, '#');
}

static bool is_host(const char *text)
{
	return only(text, LETTER DIGIT "_.-:[]");
}

static bool is_alpn(const char *text)
{
	return text[strspn(text, LETTER DIGIT "!#$%&'()*+,-./:;<=>?@[]^_`{|}~")] == '\0';
}

static bool is_source(const char *text)
{
	struct addr addr;
	return strcmp(text, "client") == 0 || addr_parse_ip(text, &addr);
}

static bool is_path_pattern(const char *text)
{
	return (text[0] == '/' || text[0] == '~') && is_argument(text);
}

static bool is_payload(const char *text)
{
	while (*text) {
		if (*text < ' ' || *text >= 0x7f)
			return false;
		if (*text++ != '\\')
			continue;
		if (*text == 'x' && strspn(text + 1, DIGIT "abcdefABCDEF") >= 2)
			text += 3;
		else if (*text == '\\')
			text++;
		else
			return false;
	}
	return true;
}

static bool is_cookie(const char *text)
{
	return only(text, TOKEN);
}

/* Behind an upgrade to HTTP the target would get requests that nobody has read before. */
static bool is_http(const char *text, size_t len)
{
	static const char *const names[] = {"h2", "h2c", "http"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i]) == len && strncasecmp(text, names[i], len) == 0)
			return true;
	}
	return false;
}

static bool is_protocol(const char *text)
{
	size_t name_len = strspn(text, TOKEN);
	if (name_len == 0 || is_http(text, name_len))
		return false;
	return text[name_len] == '\0' ||
	       (text[name_len] == '/' && only(text + name_len + 1, TOKEN));
}

static bool is_key(const char *text)
{
	return *text && is_argument(text);
}

static bool is_host_template(const char *text)
{
	return only(text, LETTER DIGIT "_.-:[]{}");
}

static bool is_path_template(const char *text)
{
	return (text[0] == '/' || text[0] == '{') && visible(text) && !strpbrk(text, "?#\"<>\\");
}

static bool is_query_template(const char *text)
{
	return visible(text) && !strpbrk(text, "#\"<>\\");
}

static bool is_field_value(const char *text)
{
	size_t len = strlen(text);
	return is_argument(text) && (len == 0 || (text[0] != ' ' && text[len - 1] != ' '));
}

static bool is_body(const char *text)
{
	(void)text;
	return true;
}

static bool is_health_body(const char *text)
{
	return *text && (text[0] != '~' || text[1]);
}

static bool is_user(const char *text)
{
	return strchr(LOWER "_", text[0]) && only(text, LOWER DIGIT "_-");
}

const struct conf_format conf_format_name = {"a name of 1 to 63 letters, digits, '_', '.' and '-'",
    "^[A-Za-z0-9_.-]+$", CONF_NAME_MAX, is_name};
const struct conf_format conf_format_interface = {
    "the name of a network interface", "^(?!\\.{1,2}$)[!-.0-9;-~]+$", 15, is_interface};
const struct conf_format conf_format_file = {
    "an absolute path", "^/[^\\x00-\\x1f\\x7f]+$", 4095, is_file};
const struct conf_format conf_format_log_file = {"an absolute path, \"stdout\" or \"stderr\"",
    "^(/[^\\x00-\\x1f\\x7f]+|stdout|stderr)$", 4095, is_log_file};
const struct conf_format conf_format_argument = {
    "text without control characters", "^[^\\x00-\\x1f\\x7f]*$", 1024, is_argument};
const struct conf_format conf_format_url_path = {
    "a path that begins with \"/\"", "^/[!\\x22$-~]*$", 1024, is_url_path};
const struct conf_format conf_format_host = {
    "a host name or address", "^[A-Za-z0-9_.:\\[\\]-]+$", 255, is_host};
const struct conf_format conf_format_payload = {
    "ASCII text in which \\xHH is a byte and \\\\ a backslash",
    "^([ -\\[\\]-~]|\\\\(x[0-9A-Fa-f]{2}|\\\\))*$", 4096, is_payload};
const struct conf_format conf_format_alpn = {
    "the name of a protocol, like \"h2\" or \"http/1.1\"", "^[!#-\\[\\]-~]+$", 255, is_alpn};
const struct conf_format conf_format_source = {
    "an IP address, or \"client\"", "^(client|[0-9A-Fa-f:.]+)$", 45, is_source};
const struct conf_format conf_format_host_pattern = {
    "a host name without port, like \"example.com\" or \"*.example.com\"",
    "^((\\*\\.)?[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*|\\[[0-9A-Fa-f:.]{2,}\\])$", NAMES_TEXT_MAX,
    names_valid};
const struct conf_format conf_format_path_pattern = {
    "a path like \"/cart\", \"/api/*\" or \"~^/v[0-9]+/\"", "^[/~][^\\x00-\\x1f\\x7f]*$",
    ROUTE_TEXT_MAX, is_path_pattern};
const struct conf_format conf_format_pattern = {
    "text without control characters", "^[^\\x00-\\x1f\\x7f]*$", ROUTE_TEXT_MAX, is_argument};
const struct conf_format conf_format_key = {
    "a name without control characters", "^[^\\x00-\\x1f\\x7f]+$", 255, is_key};
const struct conf_format conf_format_token = {
    "a word of letters, digits and !#$%&'*+.^_`|~-", "^" TOKEN_PATTERN "$", 255, is_cookie};
const struct conf_format conf_format_field_name = {
    "the name of a header field, like \"X-Name\", of letters, digits and !#$%&'*+.^_`|~-",
    "^" TOKEN_PATTERN "$", 255, is_cookie};
const struct conf_format conf_format_host_template = {
    "a host name, which may have variables like {host}", "^[A-Za-z0-9_.:\\[\\]{}-]+$", 255,
    is_host_template};
const struct conf_format conf_format_path_template = {
    "a path that begins with \"/\" or a variable like {path}", "^[/{][!$-;=@-\\[\\]-~]*$",
    ROUTE_TEXT_MAX, is_path_template};
const struct conf_format conf_format_query_template = {
    "a query without \"#\" and blanks", "^[!$-;=?-\\[\\]-~]*$", ROUTE_TEXT_MAX, is_query_template};
const struct conf_format conf_format_rewrite = {
    "text without control characters", "^[^\\x00-\\x1f\\x7f]*$", ROUTE_TEXT_MAX, is_argument};
const struct conf_format conf_format_field_value = {
    "a field's value, without control characters and blanks around it",
    "^([^\\x00-\\x20\\x7f]([^\\x00-\\x1f\\x7f]*[^\\x00-\\x20\\x7f])?)?$", ROUTE_TEXT_MAX,
    is_field_value};
const struct conf_format conf_format_body = {"text", "^[^\\x00]*$", ROUTE_BODY_MAX, is_body};
const struct conf_format conf_format_health_body = {"text, or \"~\" and a regular expression",
    "^([^\\x00~]|~[^\\x00])[^\\x00]*$", ROUTE_TEXT_MAX, is_health_body};
const struct conf_format conf_format_cookie = {
    "the name of a cookie", "^" TOKEN_PATTERN "$", 63, is_cookie};
const struct conf_format conf_format_protocol = {
    "the name of a protocol, like \"websocket\", that is not HTTP",
    "^(?!([Hh]2[Cc]|[Hh]2|[Hh][Tt][Tt][Pp])(/|$))" TOKEN_PATTERN "(/" TOKEN_PATTERN ")?$", 63,
    is_protocol};
const struct conf_format conf_format_user = {
    "the name of a user", "^[a-z_][a-z0-9_-]*$", 32, is_user};
