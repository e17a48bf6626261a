void count(int a)
{
    assert(a++ < 3);
}
