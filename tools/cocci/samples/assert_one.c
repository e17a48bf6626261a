void both(int a, int b)
{
    assert(a > 0 && b > 0);
}
