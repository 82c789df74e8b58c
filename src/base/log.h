#include "base/log_line.h"
