# shellcheck shell=bash
# cases.sh: lets a shell script report as cmocka does. Sourced.
#
#     begin_cases 2
#     run_case has_a_name some_function argument    # passes if the function does
#     run_case has_another other_function
#     end_cases                                     # the script's exit status
cases_failed=0

begin_cases() { echo "[==========] Running $1 test(s)."; }

run_case() {
	local name=$1
	shift
	echo "[ RUN      ] $name"
	if "$@"; then
		echo "[       OK ] $name"
	else
		echo "[  FAILED  ] $name"
		cases_failed=1
	fi
}

end_cases() { return $cases_failed; }
