def test_x(translator, writer, transduce):
    import sys
    for i in range(2):
        r = transduce("translate", "-m", translator, stdin="one two three\nsix one two\ngrößer 日本\n\nUUU\n".encode())
        print(r, r.out.decode())
    r = transduce("translate", "-m", translator, "--beam", "1", stdin="one two three\nsix one two\ngrößer 日本\n\nUUU\n".encode())
    print(r, r.out.decode())
    r = transduce("generate", "one two", "-m", writer)
    print(r, r.out.decode())
    r = transduce("generate", "one two", "-m", writer, "--bogus")
    print(r, r.out.decode())
    assert 0
