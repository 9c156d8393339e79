#compdef transduce
# Completion of transduce in zsh.
_transduce() {
    local kind value text files= given
    local -a described parts paths
    printf -v given '%s\x1f' "${(@Q)words[2,CURRENT]}"
    while IFS=$'\t' read -r kind value text; do
        case $kind in
            file | folder) files=$kind ;;
            path) paths+=("$value") ;;
            part) parts+=("$value") ;;
            plain) described+=("${value//:/\\:}${text:+:$text}") ;;
        esac
    done < <(_TRANSDUCE_COMPLETE=zsh _TRANSDUCE_WORDS=$given ${words[1]} 2>/dev/null)
    (( $#described )) && _describe -V 'transduce' described
    (( $#parts )) && compadd -S '' -a parts
    (( $#paths )) && compadd -f -S '/' -q -a paths
    case $files in
        file) _files ;;
        folder) _files -/ ;;
    esac
}
if [[ $funcstack[1] == _transduce ]]; then
    _transduce "$@"
else
    compdef _transduce transduce
fi
