# Completion of transduce in bash.
_transduce() {
    local IFS=$'\n' kind value text files= words
    local sep=$'\x1f'
    COMPREPLY=()
    printf -v words "%s$sep" "${COMP_WORDS[@]:1:COMP_CWORD}"
    while IFS=$'\t' read -r kind value text; do
        case $kind in
            file | folder) files=$kind ;;
            path) compopt -o filenames 2>/dev/null; COMPREPLY+=("$value") ;;
            part) compopt -o nospace 2>/dev/null; COMPREPLY+=("$value") ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(_TRANSDUCE_COMPLETE=bash _TRANSDUCE_WORDS=$words "$1" 2>/dev/null)
    case $files in
        file) compopt -o default 2>/dev/null ;;
        folder) compopt -o dirnames 2>/dev/null ;;
    esac
    if [[ $files == file && ${#COMPREPLY[@]} -gt 0 ]]; then
        compopt -o filenames 2>/dev/null
        COMPREPLY+=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
    fi
}
complete -F _transduce transduce
